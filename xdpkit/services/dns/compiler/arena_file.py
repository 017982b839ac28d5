"""The arenas followed by a record of their sources: the compiler's output, and the cache file.

    arena ... | record (JSON) | FOOTER

Each arena has its own checksum; the footer's covers everything after them, so that no bit flip goes
unnoticed. The record lists the arenas, the files that were read, and the compiler version.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import struct
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xdpkit._core._zones import ZoneArena
from xdpkit.regular_file import check_owned, open_regular
from xdpkit.services.dns.zonefile.sources import Source, compiler_key

MAGIC = b"xdpzones"
FOOTER = struct.Struct("<8sQQ32s")
"""Magic, arena size, record size, BLAKE2b-256 of the record and these fields."""

# 10,000 files have a record of 2 MB.
RECORD_MAX = 1 << 28


class Stale(ValueError):
    """The arena is intact, but was made by another compiler or from other files."""


@dataclass(frozen=True)
class ArenaFile:
    """The zones in memory, and the files that they were read from."""

    arenas: tuple[ZoneArena, ...]
    sources: tuple[Source, ...]


def _digest(record: bytes, size: int) -> bytes:
    fields = FOOTER.pack(MAGIC, size, len(record), bytes(32))
    return blake2b(record + fields, digest_size=32).digest()


def append_record(fd: int, arenas: list[tuple[int, int]], sources: tuple[Source, ...]) -> int:
    """Appends record and footer to arenas at these offsets with these sizes; returns the total."""
    size = max(at + length for at, length in arenas)
    facts = {
        "compiler": compiler_key(),
        "arenas": arenas,
        "sources": [astuple(source) for source in sources],
    }
    record = json.dumps(facts).encode()
    tail = record + FOOTER.pack(MAGIC, size, len(record), _digest(record, size))
    at, view = size, memoryview(tail)
    while view:
        written = os.pwrite(fd, view, at)
        at, view = at + written, view[written:]
    return at


def _record(fd: int) -> tuple[int, dict[str, Any]]:
    """The size of the arena in a file, and the record. Raises ValueError if they are damaged."""
    end = os.fstat(fd).st_size
    footer = os.pread(fd, FOOTER.size, max(end - FOOTER.size, 0))
    if len(footer) < FOOTER.size:
        raise ValueError("it is too short")
    magic, size, length, digest = FOOTER.unpack(footer)
    if magic != MAGIC or length > RECORD_MAX or size + length + FOOTER.size != end:
        raise ValueError("it has no valid footer: cut off, or not an arena file")
    record = os.pread(fd, length, size)
    if _digest(record, size) != digest:
        raise ValueError("the checksum of its record is wrong")
    return size, json.loads(record)


def read_sources(fd: int, ours: bool = True) -> tuple[list[tuple[int, int]], tuple[Source, ...]]:
    """The offsets and sizes of the arenas in a file, and the files that they were made from.

    Raises ValueError if it is damaged; with ``ours``, Stale if another compiler made it.
    """
    try:
        _, facts = _record(fd)
        if ours and facts["compiler"] != compiler_key():
            raise Stale("another version of xdpkit wrote it")
        arenas = [(int(at), int(length)) for at, length in facts["arenas"]]
        return arenas, tuple(
            Source(path, zone, (found[0], found[1], found[2]), settled, digest)
            for path, zone, found, settled, digest in facts["sources"]
        )
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("its record is malformed") from error


def read_arenas(fd: int, arenas: list[tuple[int, int]], sources: tuple[Source, ...]) -> ArenaFile:
    """Copies the arenas of a file into memory and checks them. Raises OSError or ValueError."""
    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as data, memoryview(data) as view:
        found = []
        for at, length in arenas:
            with view[at : at + length] as part:
                found.append(ZoneArena(part))
    return ArenaFile(tuple(found), sources)


# -------------------------------------------------------------------------------------------------


def cache_file(cache: Path, directory: Path) -> Path:
    """The path of the cached arena of a zone directory."""
    key = blake2b(os.fsencode(directory.resolve()), digest_size=8).hexdigest()
    return cache / f"zones-{key}.arena"


def open_cached(path: Path) -> int:
    """Opens a cached arena; the caller closes it.

    Raises FileNotFoundError if there is none, OSError if another user could have written it.
    """
    fd = open_regular(path, follow=False)
    try:
        check_owned(path, os.fstat(fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_cache(fd: int, path: Path) -> None:
    """Copies an arena file to ``path`` atomically. Raises OSError.

    The directory is created if it is missing. The next process reuses a partial file that a killed
    one left.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    out = os.open(part, flags, 0o600)
    try:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # An instance on another interface is writing the same file.
            return
        if not part.exists() or not os.path.samestat(os.fstat(out), part.stat()):
            return
        try:
            _copy(fd, out)
        except BaseException:
            part.unlink()
            raise
        part.rename(path)
    finally:
        os.close(out)
    _sync(path.parent)


def _copy(fd: int, out: int) -> None:
    os.fchmod(out, 0o600)
    os.ftruncate(out, 0)
    at, size = 0, os.fstat(fd).st_size
    while at < size:
        at += os.sendfile(out, fd, at, size - at)
    os.fsync(out)


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
