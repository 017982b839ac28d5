"""The files that zones were read from, and whether their content is still the same."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

import dns.version

from xdpkit._core._limits import ZONE_LIMITS
from xdpkit.config.dns import MAX_ZONE_BYTES
from xdpkit.errors import ZoneError
from xdpkit.reach import denied, reach
from xdpkit.regular_file import Content, LargeFileError, read_regular
from xdpkit.services.dns.zonefile.limits import Budget
from xdpkit.services.dns.zonefile.writers import Ways, Writer, check_readable

SUFFIX = ".zone"

Stat = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, inode: they change when the file changes."""

# A file modified this shortly before it was read may change again without a change of its times:
# file systems count in clock ticks (at most 10 ms), FAT and some NFS servers in steps of 2 s.
SETTLED_NS = 2_500_000_000


def zone_files(directory: Path) -> list[Path]:
    """The master files of a directory, sorted; hidden files and other suffixes are ignored."""
    try:
        found = sorted(os.listdir(reach(directory)))  # noqa: PTH208
    except PermissionError:
        raise ZoneError(directory, f"cannot be read: {denied(directory)}") from None
    except OSError as error:
        raise ZoneError(directory, f"cannot be read: {error.strerror}") from None
    # "..zone" is the root zone's: NAME is a single dot.
    files = [
        directory / name
        for name in found
        if name.endswith(SUFFIX) and (not name.startswith(".") or name == "." + SUFFIX)
    ]
    if not files:
        raise ZoneError(directory, f"no zones found; put NAME{SUFFIX} files there")
    return files


def stat_of(path: Path | str) -> Stat | None:
    """None for a file that does not exist or cannot be accessed."""
    try:
        # Not a Path: the watch does ten thousand of these every other second.
        found = os.stat(reach(path))  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was read."""

    path: str
    zone: bool
    """Whether it is a master file of the directory; others were included by one."""
    stat: Stat
    settled: bool
    """Whether an unchanged stat means unchanged content."""
    digest: str
    """BLAKE2b-128 of the content, hexadecimal."""

    def recheck(self) -> Source | None:
        """The same with the current stat, or None if the content has changed."""
        if self.settled and stat_of(self.path) == self.stat:
            return self
        try:
            now, _ = read(Path(self.path), self.zone)
        except OSError:
            return None
        return now if now.digest == self.digest else None


def read(
    path: Path,
    zone: bool,
    most: int | None = None,
    before: Callable[[int], None] | None = None,
) -> tuple[Source, Content]:
    """A file's content, and the record of it. Raises OSError; see read_regular()."""
    now = time.time_ns()
    content = read_regular(path, most, before=before)
    data, found = content.data, content.status
    settled = now - found.st_mtime_ns > SETTLED_NS
    stat = found.st_size, found.st_mtime_ns, found.st_ino
    digest = blake2b(data, digest_size=16).hexdigest()
    # If it was written while being read, it may be a mix of both versions.
    settled = settled and stat[0] == len(data)
    return Source(str(path.absolute()), zone, stat, settled, digest), content


class Reading:
    """Opens files for the compiler, and records them as sources.

    ``opened`` is called with the size of each before it is read; a zone, with all that it includes
    and makes, has at most ``max_bytes``.
    """

    def __init__(
        self, opened: Callable[[int], None] = lambda _: None, max_bytes: int = MAX_ZONE_BYTES
    ) -> None:
        self._opened = opened
        self._sources: dict[str, Source] = {}
        self._writers: dict[str, frozenset[Writer]] = {}
        self._ways = Ways()
        self._current = io.BytesIO()
        self._before = self._size = 0
        self.budget = Budget(max_bytes)
        """Of the zone whose master file was opened last."""

    def again(self) -> Reading:
        """For reading the same files once more, after those before were let go."""
        return Reading(max_bytes=self.budget.most)

    def open(self, path: Path | str, zone: bool = False, includer: str = "") -> TextIO:
        """The content of a file as text; ``includer`` is the path of what includes it.

        Raises OSError, also for what somebody who can write either may not read; LargeFileError
        for more than may still be read.
        """
        if zone:
            self.budget = Budget(self.budget.most)

        def before(size: int) -> None:
            if not self.budget.fits(size, not zone):
                raise LargeFileError(path, size, self.budget.left)
            self._opened(size)

        try:
            path = path if isinstance(path, Path) else Path(path)
            source, content = read(path, zone, self.budget.left, before)
        except LargeFileError as error:
            error.strerror = self.budget.too_large(error.size)
            raise
        self._check_writers(source.path, content, includer)
        data = content.data
        self.budget.read(len(data), not zone)
        # A file included twice is recorded as first read: the second must be the same.
        self._sources.setdefault(source.path, source)
        if zone:
            self._before += self._size
            self._current, self._size = io.BytesIO(data), len(data)
            return io.TextIOWrapper(self._current, encoding="utf-8")
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")

    def _check_writers(self, path: str, content: Content, includer: str) -> None:
        above: frozenset[Writer] = frozenset()
        if includer:
            above = self._writers.get(str(Path(includer).absolute()), above)
        writers = above | self._ways.writers_of(path, content)
        if writers:
            check_readable(Path(path), content, writers)
        self._writers[path] = writers

    @property
    def bytes_read(self) -> int:
        """Bytes read of master files, without the files that they include."""
        return self._before + (self._size if self._current.closed else self._current.tell())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file that was opened."""
        return tuple(self._sources.values())


def unchanged(sources: Iterable[Source], directory: Path) -> tuple[Source, ...] | None:
    """The sources with current stats if the directory's zones are unchanged; else None."""
    known = list(sources)
    try:
        files = {str(path.absolute()) for path in zone_files(directory)}
    except ZoneError:
        return None
    if files != {source.path for source in known if source.zone}:
        return None
    now = [source.recheck() for source in known]
    return None if None in now else tuple(source for source in now if source is not None)


@cache
def compiler_key() -> str:
    """A key that changes with the compiler's source, the limits that it shares with the C code,
    and the library that reads master files.
    """
    digest = blake2b(dns.version.version.encode(), digest_size=8)
    digest.update(repr(sorted(ZONE_LIMITS.items())).encode())
    for path in sorted(Path(__file__).parents[1].glob("*/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
