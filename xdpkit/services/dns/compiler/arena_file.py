"""The file that keeps a compiled zone for the next start: its arena and what it was made from.

    arena | record (JSON) | FOOTER

The arena has its own checksum; the footer's covers everything after the arena, so that no bit flip
goes unnoticed. So nothing waits for a disk when one is written: what a crash leaves of it is found
to be damaged, and the zone is compiled again.

A directory of zones has one of such files, one for each zone, and each is replaced as a whole.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fcntl import F_GETFL, F_SETFL, fcntl
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xdpkit._core._zones import ZoneArena
from xdpkit.config.geo import GeoFiles
from xdpkit.reach import reach
from xdpkit.regular_file import check_owned, open_regular
from xdpkit.services.dns.zonefile.sources import Source, compiler_key, from_json, to_json
from xdpkit.services.dns.zonefile.zone import labels_of

MAGIC = b"xdpzone2"
FOOTER = struct.Struct("<8sQQ32s")
"""Magic, arena size, record size, BLAKE2b-256 of the record and these fields."""

SUFFIX = ".arena"
PART = ".part"

# A zone's name as a file's: the plain ones as they are, others by a digest behind this character.
_PLAIN = re.compile(rb"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_DIGEST = "="

# NAME_MAX of Linux is 255, with what comes before and after it.
_LONGEST = 200

# An arena of so many bytes would push others' files out of the page cache, and takes as long to be
# copied into that as to be written. It is written in such steps, which suit any disk's alignment.
DIRECT_BYTES = 1 << 28
_DIRECT_STEP = 1 << 22

# A file that a writer of today may still be writing.
_PART_SECONDS = 3600


class OtherVersion(ValueError):
    """It is intact, but what another version of xdpkit made does not fit."""


@dataclass(frozen=True, slots=True)
class KeptGeo:
    """What the arena of a JSON zone needs, and was made with, besides its sources."""

    view: bytes
    """The id of its view, which has a file of its own (``view_file``)."""
    settings: str
    """``settings_key`` of what it was compiled with."""


@dataclass(frozen=True, slots=True)
class CachedZone:
    """A compiled zone as it was kept."""

    arena: ZoneArena
    sources: tuple[Source, ...]
    made: float
    """When it was compiled, in seconds since the epoch."""
    ours: bool
    """Whether this version of xdpkit made it."""
    geo: KeptGeo | None = None
    """Of a JSON zone."""


def _digest(record: bytes, size: int) -> bytes:
    fields = FOOTER.pack(MAGIC, size, len(record), bytes(32))
    return blake2b(record + fields, digest_size=32).digest()


def settings_key(geo: GeoFiles) -> str:
    """A key that changes with the settings that JSON zones are compiled with."""
    return blake2b(repr(tuple(geo)).encode(), digest_size=16).hexdigest()


def tail(size: int, sources: Sequence[Source], made: float, geo: KeptGeo | None = None) -> bytes:
    """What follows an arena of ``size`` bytes in its file."""
    facts: dict[str, Any]
    facts = {"compiler": compiler_key(), "made": made, "sources": to_json(sources)}
    if geo is not None:
        facts["geo"] = [geo.view.hex(), geo.settings]
    record = json.dumps(facts, separators=(",", ":")).encode()
    return record + FOOTER.pack(MAGIC, size, len(record), _digest(record, size))


def parse(fd: int, whole: int) -> CachedZone:
    """The content of a file of ``whole`` bytes, checked.

    Raises ValueError for a damaged one, OSError, and MemoryError.
    """
    if whole < FOOTER.size:
        raise ValueError("it is too short")
    footer = os.pread(fd, FOOTER.size, whole - FOOTER.size)
    if len(footer) < FOOTER.size:
        raise ValueError("it was cut off meanwhile")
    magic, size, length, digest = FOOTER.unpack(footer)
    if magic != MAGIC or size + length + FOOTER.size != whole:
        raise ValueError("it has no valid footer: cut off, or not an arena file")
    record = os.pread(fd, length, size)
    if _digest(record, size) != digest:
        raise ValueError("the checksum of its record is wrong")
    try:
        facts: dict[str, Any] = json.loads(record.decode())
        sources = from_json(facts["sources"])
        made, ours = float(facts["made"]), facts["compiler"] == compiler_key()
        geo = _kept_geo(facts.get("geo"))
    except (LookupError, TypeError, RecursionError) as error:
        raise ValueError("its record is malformed") from error
    try:
        arena = ZoneArena.read(fd, 0, size)
    except ValueError:
        if ours:
            raise
        raise OtherVersion from None
    return CachedZone(arena, sources, made, ours, geo)


def _kept_geo(found: Any) -> KeptGeo | None:
    """What a record says of a JSON zone. Raises ValueError or TypeError for something else."""
    if found is None:
        return None
    view, settings = found
    return KeptGeo(bytes.fromhex(view), str(settings))


# -------------------------------------------------------------------------------------------------


def cache_directory(cache: Path, directory: Path) -> Path:
    """Where the compiled zones of a zone directory are kept."""
    key = blake2b(os.fsencode(directory.resolve()), digest_size=8).hexdigest()
    return cache / f"zones-{key}"


def file_name(zone: bytes) -> str:
    """The name of the file that keeps the zone with this wire name."""
    labels = labels_of(zone)
    text = b".".join(labels)
    # A dot within a label would make two zones one.
    if len(text) <= _LONGEST and _PLAIN.fullmatch(text) and text.count(b".") == len(labels) - 1:
        return text.decode() + SUFFIX
    return _DIGEST + blake2b(zone, digest_size=16).hexdigest() + SUFFIX


def read_cached(path: str) -> CachedZone:
    """A zone that was kept.

    Raises FileNotFoundError if there is none, OSError if another user could have written it,
    ValueError if it is damaged, and MemoryError.
    """
    fd = open_regular(path, follow=False)
    try:
        found = os.fstat(fd)
        check_owned(path, found)
        return parse(fd, found.st_size)
    finally:
        os.close(fd)


def make_directory(directory: Path) -> None:
    """Creates the directory for a zone directory, and removes what killed writers left there.

    Raises OSError.
    """
    for each in (directory.parent, directory):
        os.makedirs(reach(each), mode=0o700, exist_ok=True)  # noqa: PTH103
    with os.scandir(reach(directory)) as entries:
        for entry in entries:
            if entry.name.endswith(PART) and _is_abandoned(entry):
                os.unlink(entry)  # noqa: PTH108


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > _PART_SECONDS
    except OSError:
        return False


def write_cached(
    directory: Path, zone: bytes, fd: int, at: int, size: int, end: bytes, made: float
) -> None:
    """Keeps the zone whose arena is in ``fd`` at an offset; ``end`` is its ``tail``.

    Whoever reads finds the old file or the new one. One that was written after this zone was
    ``made`` is left alone. Raises OSError.
    """
    path = reach(directory / file_name(zone))
    with suppress(FileNotFoundError):
        if os.stat(path).st_mtime > made:  # noqa: PTH116
            return
    replace_file(path, fd, at, size, end)


def replace_file(path: str, fd: int, at: int, size: int, end: bytes) -> None:
    """Writes ``size`` bytes of ``fd`` from an offset on, and ``end``, as a whole new file.

    Raises OSError.
    """
    # Instances that share the directory each write their own.
    part = f"{path}.{os.getpid()}{PART}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    out = os.open(part, flags, 0o600)
    try:
        try:
            _copy(fd, at, size, out)
            view = memoryview(end)
            while view:
                view = view[os.write(out, view) :]
            os.rename(part, path)  # noqa: PTH104
        except BaseException:
            os.unlink(part)  # noqa: PTH108
            raise
    finally:
        os.close(out)


def _copy(fd: int, at: int, size: int, out: int) -> None:
    end = at + size
    if size >= DIRECT_BYTES:
        at += _copy_direct(fd, at, size, out)
    while at < end:
        sent = os.sendfile(out, fd, at, end - at)
        if not sent:
            raise OSError(errno.EIO, "the arena ends too early")
        at += sent


def _copy_direct(fd: int, at: int, size: int, out: int) -> int:
    """Copies what it can past the page cache; returns how many bytes."""
    flags, done = fcntl(out, F_GETFL), 0
    try:
        # EINVAL if the file system has no such thing: open(2).
        fcntl(out, F_SETFL, flags | os.O_DIRECT)
        with mmap.mmap(-1, _DIRECT_STEP) as buffer, memoryview(buffer) as view:
            while size - done >= _DIRECT_STEP:
                if os.preadv(fd, [view], at + done) != _DIRECT_STEP:
                    break
                written = os.write(out, view)
                done += written
                if written != _DIRECT_STEP:
                    break
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        fcntl(out, F_SETFL, flags)
    return done
