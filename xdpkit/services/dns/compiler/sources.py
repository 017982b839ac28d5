"""The files that zones were read from, and whether they still hold what was read."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TextIO

import dns.version

from xdpkit.errors import ZoneError

SUFFIX = ".zone"

Stat = tuple[int, int, int]
"""Size in bytes, modification time in nanoseconds, inode: they change when a file does."""

# A file that was changed this shortly before it was read may be changed again with no trace in its
# times: file systems count in clock ticks (10 ms at most), FAT and some NFS servers in 2 s.
SETTLED_NS = 2_500_000_000


def zone_files(directory: Path) -> list[Path]:
    """The master files of a directory, sorted; hidden files and other suffixes are not ours."""
    try:
        found = sorted(path.name for path in directory.iterdir())
    except OSError as error:
        raise ZoneError(directory, f"cannot be read: {error.strerror}") from None
    # "..zone" is the root zone's: NAME is a single dot.
    files = [
        directory / name
        for name in found
        if name.endswith(SUFFIX) and (not name.startswith(".") or name == "." + SUFFIX)
    ]
    if not files:
        raise ZoneError(directory, f"no zone in it; put NAME{SUFFIX} files there")
    return files


def stat_of(path: Path | str) -> Stat | None:
    """None for a file that is not there, or cannot be looked at."""
    try:
        # Not a Path: the watch does ten thousand of these every other second.
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was read."""

    path: str
    zone: bool
    """A master file of the directory; others were included by one."""
    stat: Stat
    settled: bool
    """Whether an unchanged stat means unchanged content."""
    digest: str
    """Of the content: BLAKE2b-128, hexadecimal."""

    def now(self) -> Source | None:
        """The same with today's stat, or None if the content is no longer this."""
        if self.settled and stat_of(self.path) == self.stat:
            return self
        try:
            now, _ = read(Path(self.path), self.zone)
        except OSError:
            return None
        return now if now.digest == self.digest else None


def read(path: Path, zone: bool) -> tuple[Source, bytes]:
    """A file's content and what is to be remembered of it. Raises OSError."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        settled = time.time_ns() - found.st_mtime_ns > SETTLED_NS
        data = file.read()
    stat = found.st_size, found.st_mtime_ns, found.st_ino
    digest = blake2b(data, digest_size=16).hexdigest()
    # Written to while it was read, it may be half of each.
    settled = settled and stat[0] == len(data)
    return Source(str(path.absolute()), zone, stat, settled, digest), data


class Reading:
    """Opens files for the compiler, and remembers them."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}
        self._current = io.BytesIO()
        self._before = self._size = 0

    def open(self, path: Path | str, zone: bool = False) -> TextIO:
        """The content of a file as text. Raises OSError."""
        source, data = read(Path(path), zone)
        # One that is included twice is remembered as it was first: it must be that still.
        self._sources.setdefault(source.path, source)
        if zone:
            self._before += self._size
            self._current, self._size = io.BytesIO(data), len(data)
            return io.TextIOWrapper(self._current, encoding="utf-8")
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")

    @property
    def bytes_read(self) -> int:
        """Of master files, without what they include."""
        return self._before + (self._size if self._current.closed else self._current.tell())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file that was opened."""
        return tuple(self._sources.values())


def still(sources: Iterable[Source], directory: Path) -> tuple[Source, ...] | None:
    """The sources with today's stats if the directory's zones are still these; else None."""
    known = list(sources)
    try:
        files = {str(path.absolute()) for path in zone_files(directory)}
    except ZoneError:
        return None
    if files != {source.path for source in known if source.zone}:
        return None
    now = [source.now() for source in known]
    return None if None in now else tuple(source for source in now if source is not None)


@cache
def compiler_key() -> str:
    """Changes with the compiler's source and the library that reads master files."""
    digest = blake2b(dns.version.version.encode(), digest_size=8)
    for path in sorted(Path(__file__).parents[1].glob("*/*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
