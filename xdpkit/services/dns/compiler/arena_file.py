"""The arena with what it was made from behind it: what the compiler hands over, and the cache.

    arena | record (JSON) | FOOTER

The arena has a checksum of its own; the footer's is of all that follows it, so that no bit can turn
unnoticed. The record says which files were read, and by which compiler.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xdpkit._core._snapshot import ZoneMap
from xdpkit.services.dns.compiler.sources import Source, compiler_key
from xdpkit.services.dns.query.view import View

MAGIC = b"xdpzones"
FOOTER = struct.Struct("<8sQQ32s")
"""Magic, bytes of the arena, bytes of the record, BLAKE2b-256 of the record and these."""

# 10,000 files have a record of 2 MB.
RECORD_MAX = 1 << 28


class Stale(ValueError):
    """An arena that is whole, and of another compiler or of other files."""


@dataclass(frozen=True)
class ArenaFile:
    """An arena in memory, its zones, and the files that they were read from."""

    zones: ZoneMap
    view: View
    sources: tuple[Source, ...]


def _digest(record: bytes, size: int) -> bytes:
    fields = FOOTER.pack(MAGIC, size, len(record), bytes(32))
    return blake2b(record + fields, digest_size=32).digest()


def append_record(fd: int, size: int, sources: tuple[Source, ...]) -> int:
    """Writes record and footer behind an arena of ``size`` bytes; gives the size of all."""
    facts = {"compiler": compiler_key(), "sources": [astuple(source) for source in sources]}
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
        raise ValueError("it does not end as an arena file does: cut off, or not one")
    record = os.pread(fd, length, size)
    if _digest(record, size) != digest:
        raise ValueError("the checksum of its record is wrong")
    return size, json.loads(record)


def read_sources(fd: int, ours: bool = True) -> tuple[int, tuple[Source, ...]]:
    """The size of the arena in a file, and the files that it was made from.

    Raises ValueError if that is damaged; with ``ours``, Stale if another compiler made it.
    """
    try:
        size, facts = _record(fd)
        if ours and facts["compiler"] != compiler_key():
            raise Stale("another version of xdpkit wrote it")
        return size, tuple(
            Source(path, zone, (found[0], found[1], found[2]), settled, digest)
            for path, zone, found, settled, digest in facts["sources"]
        )
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("its record is not what we write") from error


def read_arena(fd: int, size: int, sources: tuple[Source, ...]) -> ArenaFile:
    """Copies the arena of a file into memory and checks it. Raises OSError or ValueError."""
    zones = ZoneMap(fd, size)
    return ArenaFile(zones, View(zones.view()), sources)


# -------------------------------------------------------------------------------------------------


def cache_file(cache: Path, directory: Path) -> Path:
    """Where the arena of a directory of zones is kept."""
    key = blake2b(os.fsencode(directory.resolve()), digest_size=8).hexdigest()
    return cache / f"zones-{key}.arena"


def open_kept(path: Path) -> int:
    """Opens a kept arena; the caller closes it.

    Raises FileNotFoundError without one, ValueError if somebody else could have written it.
    """
    # Not blocking: a FIFO in its place shall not hold up a start.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is no regular file")
        if found.st_uid != os.geteuid():
            raise ValueError(f"it is the user {found.st_uid}'s, and we are {os.geteuid()}")
        if found.st_mode & 0o022:
            raise ValueError(f"others may write to it (mode {stat.S_IMODE(found.st_mode):o})")
    except BaseException:
        os.close(fd)
        raise
    return fd


def keep(fd: int, path: Path) -> None:
    """Copies a whole arena file to ``path``, at once or not at all. Raises OSError.

    The directory is made if it is missing. What a killed process left of it the next one takes
    over.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    out = os.open(part, flags, 0o600)
    try:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # An instance on another interface writes the very same.
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
