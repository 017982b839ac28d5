"""The files that a zone was read from, and whether their content is still the same."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import dns.version

from xdpkit._core import (
    _geo_nearest,
    _geo_tables,
    _geo_tree,
    _geo_view,
    _master_file,
    _rrset,
    _zone_denial,
    _zone_images,
    _zone_tree,
)
from xdpkit.config.dns import MAX_ZONE_BYTES
from xdpkit.errors import FILE_LINES, ZoneError
from xdpkit.reach import denied, reach
from xdpkit.regular_file import Content, LargeFileError, read_regular
from xdpkit.services.dns.zonefile.limits import Budget
from xdpkit.services.dns.zonefile.lines import Lines
from xdpkit.services.dns.zonefile.writers import Writer, check_readable, writers_of

SUFFIX = ".zone"
JSON_SUFFIX = ".json"
"""Of GeoDNS's zones, in any case."""

Stat = bytes
"""Size in bytes, times of modification and change in nanoseconds, device and inode, packed: they
change when the file changes. A tuple of them would take three times the memory.
"""

INACCESSIBLE: Stat = b"-"
"""Of a file that is listed in its directory, and that a link leads nowhere, for example."""

_MODULES = (
    _geo_nearest,
    _geo_tables,
    _geo_tree,
    _geo_view,
    _master_file,
    _rrset,
    _zone_denial,
    _zone_images,
    _zone_tree,
)

COMPILER_MODULES = [Path(each.__file__ or "") for each in _MODULES]
"""The extension modules that read and compile zones."""

_STAT = struct.Struct("<5q")
_SIZE = 8

# A file modified this shortly before it was read may change again without a change of its times:
# file systems count in clock ticks (at most 10 ms), FAT and some NFS servers in steps of 2 s.
SETTLED_NS = 2_500_000_000


def packed(found: os.stat_result) -> Stat:
    """What tells one version of a file from another."""
    # Signed: a device or inode number may have the top bit.
    device, inode = found.st_dev & _LOW, found.st_ino & _LOW
    return _STAT.pack(found.st_size, found.st_mtime_ns, found.st_ctime_ns, device, inode)


_LOW = (1 << 63) - 1


def modified_ns(found: Stat) -> int:
    """The time of modification that a packed status has, in nanoseconds since 1970."""
    return int(_STAT.unpack(found)[1])


def is_zone_file(name: str) -> bool:
    """Whether a file's name in a zone directory makes it a master file."""
    # "..zone" is the root zone's: NAME is a single dot.
    return name.endswith(SUFFIX) and (not name.startswith(".") or name == "." + SUFFIX)


def is_json_zone(name: str) -> bool:
    """Whether a file's name in a zone directory makes it a JSON zone."""
    # "..json" is the root zone's: NAME is a single dot.
    is_json = name.lower().endswith(JSON_SUFFIX)
    return is_json and (not name.startswith(".") or name.lower() == "." + JSON_SUFFIX)


def _is_any_zone(name: str) -> bool:
    return is_zone_file(name) or is_json_zone(name)


def zone_stats(directory: Path, geo: bool = False) -> dict[str, Stat]:
    """The master files of a directory by path, sorted; with ``geo`` also its JSON zones.

    Hidden files and other suffixes are ignored. Raises ZoneError for a directory that cannot be
    read, or has none.
    """
    is_zone, named = is_zone_file, f"NAME{SUFFIX}"
    if geo:
        is_zone, named = _is_any_zone, f"NAME{SUFFIX} or NAME{JSON_SUFFIX}"
    try:
        # Relative to its descriptor: ten thousand files are looked at every other second.
        fd = os.open(reach(directory), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        raise ZoneError(directory, f"cannot be read: {denied(directory)}") from None
    except OSError as error:
        raise ZoneError(directory, f"cannot be read: {error.strerror}") from None
    try:
        names = sorted(filter(is_zone, os.listdir(fd)))  # noqa: PTH208
        found = {f"{directory}/{name}": _stat_at(name, fd) for name in names}
    except OSError as error:
        raise ZoneError(directory, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(fd)
    if not found:
        raise ZoneError(directory, f"no zones found; put {named} files there")
    return found


def _stat_at(name: str, fd: int) -> Stat:
    try:
        return packed(os.stat(name, dir_fd=fd))
    except OSError:
        return INACCESSIBLE


def look(path: str, listed: bool) -> Stat | None:
    """The stat of a file, as ``zone_stats`` has it if it is ``listed`` in that directory."""
    found = stat_of(path)
    if found is None and listed and os.path.lexists(reach(path)):
        return INACCESSIBLE
    return found


def zone_files(directory: Path, geo: bool = False) -> list[Path]:
    """The paths of ``zone_stats``."""
    return [Path(path) for path in zone_stats(directory, geo)]


def stat_of(path: Path | str) -> Stat | None:
    """None for a file that does not exist or cannot be accessed."""
    try:
        return packed(os.stat(reach(path)))  # noqa: PTH116
    except OSError:
        return None


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was read; one that could not be read has no stat and no digest."""

    path: str
    zone: bool
    """Whether it is a master file of the directory; others were included by one."""
    stat: Stat | None
    settled: bool
    """Whether an unchanged stat means unchanged content."""
    digest: bytes
    """BLAKE2b-128 of the content."""

    def recheck(self, now: Stat | None) -> Source | None:
        """The same with the stat of now, or None if the content has changed.

        It is read only if that could be so.
        """
        if self.settled and now == self.stat:
            return self
        if now is None or self.stat is None or not self.digest:
            return None
        if now[:_SIZE] != self.stat[:_SIZE]:
            return None
        try:
            found, _ = read(Path(self.path), self.zone)
        except OSError:
            return None
        return found if found.digest == self.digest else None


def _record(path: str, zone: bool, now: int, found: os.stat_result, data: bytes) -> Source:
    settled = now - max(found.st_mtime_ns, found.st_ctime_ns) > SETTLED_NS
    # If it was written while being read, it may be a mix of both versions.
    settled = settled and found.st_size == len(data)
    return Source(path, zone, packed(found), settled, blake2b(data, digest_size=16).digest())


def to_json(sources: Iterable[Source]) -> list[list[Any]]:
    """Sources as they go through a pipe or into a file."""
    return [
        [each.path, each.zone, (each.stat or b"").hex(), each.settled, each.digest.hex()]
        for each in sources
    ]


def from_json(found: Iterable[Any]) -> tuple[Source, ...]:
    """Such sources again. Raises ValueError or TypeError for something else."""
    return tuple(
        Source(path, zone, bytes.fromhex(stat) or None, settled, bytes.fromhex(digest))
        for path, zone, stat, settled, digest in found
    )


def _absolute(path: Path) -> str:
    name = str(path)
    return name if name.startswith("/") else str(path.absolute())


def read(
    path: Path,
    zone: bool,
    most: int | None = None,
    before: Callable[[int], None] | None = None,
) -> tuple[Source, Content]:
    """A file's content, and the record of it. Raises OSError; see read_regular()."""
    now = time.time_ns()
    content = read_regular(path, most, before=before)
    return _record(_absolute(path), zone, now, content.status, content.data), content


class Reading:
    """Opens files for the compiler, and records them as sources.

    ``opened`` is called with the size of each before it is read; a zone, with all that it includes
    and makes, has at most ``max_bytes``; ``told`` is how many of its errors are told.
    """

    def __init__(
        self,
        opened: Callable[[int], None] = lambda _: None,
        max_bytes: int = MAX_ZONE_BYTES,
        told: int = FILE_LINES,
    ) -> None:
        self._opened, self.told = opened, told
        self._sources: dict[str, Source] = {}
        self._writers: dict[str, frozenset[Writer]] = {}
        self._current = Lines("", b"")
        self._before = self._size = 0
        self.budget = Budget(max_bytes)
        """Of the zone whose master file was opened last."""

    def again(self) -> Reading:
        """For reading the same files once more, after those before were let go."""
        return Reading(max_bytes=self.budget.most, told=self.told)

    def open(self, path: Path | str, zone: bool = False, includer: str = "") -> Lines:
        """The content of a file, which the caller closes; ``includer`` is what includes it.

        Raises OSError, also for what somebody who can write either may not read; LargeFileError
        for more than may still be read.
        """
        if zone:
            self.budget = Budget(self.budget.most)

        def before(size: int) -> None:
            if not self.budget.fits(size, not zone):
                raise LargeFileError(path, size, self.budget.left)
            self._opened(size)

        name = str(path)
        path = path if isinstance(path, Path) else Path(path)
        try:
            source, content = read(path, zone, self.budget.left, before)
        except OSError as error:
            if isinstance(error, LargeFileError):
                error.strerror = self.budget.too_large(error.size)
            missed = _absolute(path)
            self._sources.setdefault(missed, Source(missed, zone, stat_of(missed), False, b""))
            raise
        self._check_writers(source.path, content, includer)
        data = content.data
        self.budget.read(len(data), not zone)
        # A file included twice is recorded as first read: the second must be the same.
        self._sources.setdefault(source.path, source)
        lines = Lines(name, data)
        if zone:
            self._before += self._size
            self._current, self._size = lines, len(data)
        return lines

    def _check_writers(self, path: str, content: Content, includer: str) -> None:
        above: frozenset[Writer] = frozenset()
        if includer:
            above = self._writers.get(str(Path(includer).absolute()), above)
        writers = above | writers_of(path, content)
        if writers:
            check_readable(Path(path), content, writers)
        self._writers[path] = writers

    @property
    def bytes_read(self) -> int:
        """Bytes read of master files, without the files that they include."""
        return self._before + self._current.offset

    @property
    def size(self) -> int:
        """Bytes of the master files that were opened."""
        return self._before + self._size

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file that was opened, or was to be."""
        return tuple(self._sources.values())


@cache
def compiler_key() -> str:
    """A key that changes with the compiler's source, its extension modules, to which the C code is
    linked, and the library that reads master files.
    """
    digest = blake2b(dns.version.version.encode(), digest_size=8)
    for path in [*sorted(Path(__file__).parents[1].glob("*/*.py")), *COMPILER_MODULES]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
