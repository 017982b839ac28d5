"""Detects changes of zone files, and says which have settled.

inotify reports at once what this machine changes. A scan now and then finds the rest: a stat of
each file works on every file system, including network ones, where nothing reports what other
machines write. Ten thousand files take about 20 ms, in a thread: a file system that does not answer
holds up nothing else.

Each file is waited for by itself: one that never settles does not hold up the others.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import anyio

from xdpkit.errors import UnansweredError, ZoneError
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.off_loop import off_loop
from xdpkit.services.dns.serving.inotify import Inotify
from xdpkit.services.dns.serving.zone_table import ZoneTable
from xdpkit.services.dns.zonefile.sources import Stat, look, zone_stats

log = logging.getLogger("xdpkit")

# Time between two scans.
POLL_SECONDS = 2.0

# Files count as completely written after this time without changes.
QUIET_SECONDS = 1.0

# Files that never settle are read after this time anyway.
PATIENCE_SECONDS = 30.0

# Between two looks at files that change all the time.
LOOK_SECONDS = 0.05

# Scans take at most this share of the time, however many files there are.
SHARE = 0.02

# Looks at those that change, too.
LOOK_SHARE = 0.1


class _Pending:
    """A file that differs from what was read, since when, and when it counts as settled."""

    __slots__ = ("due", "late", "stat")

    def __init__(self, stat: Stat | None, now: float) -> None:
        self.stat, self.due, self.late = stat, now + QUIET_SECONDS, now + PATIENCE_SECONDS


class ZoneWatch(Closing):
    """Watches the files of a table's zones.

    ``sign`` is called when a change is first seen, and ``calm`` when it was none after all.
    """

    def __init__(
        self,
        table: Callable[[], ZoneTable],
        sign: Callable[[], None] = lambda: None,
        calm: Callable[[], None] = lambda: None,
    ) -> None:
        self._table, self._sign, self._calm = table, sign, calm
        self._pending: dict[str, _Pending] = {}
        # When to scan, at the earliest if events were lost; and when to look at single files.
        self._next = self._again = self._earliest = 0.0
        self._hints: set[str] = set()
        self._troubles: set[str] = set()
        self._inotify: Inotify | None = None
        self._unwatched = False
        try:
            self._inotify = Inotify()
        except OSError as error:
            self._say_unwatched(error)

    def _say_unwatched(self, error: OSError) -> None:
        """Logs once that changes are not reported."""
        if not self._unwatched:
            log.warning(
                "%s: changes are noticed within %g s, and not at once: inotify: %s (sysctl "
                "fs.inotify has the limits)",
                self._table().directory,
                POLL_SECONDS,
                error.strerror,
            )
        self._unwatched = True

    async def wait(self) -> dict[str, Stat | None]:
        """Waits until files differ from the known ones and have settled; returns their stats."""
        while True:
            await self._sleep()
            before = bool(self._pending)
            try:
                await self._look()
            except (UnansweredError, ZoneError) as error:
                self._next = time.monotonic() + POLL_SECONDS
                self._pending.clear()
                self._hints.clear()
                self._say(error)
            if ready := self._take_ready():
                return ready
            if bool(self._pending) != before:
                (self._calm if before else self._sign)()

    async def _sleep(self) -> None:
        """Sleeps until a file may have settled, or changed, or all are to be looked at."""
        now = time.monotonic()
        await anyio.sleep(max(self._earliest - now, 0.0))
        due = min((each.due for each in self._pending.values()), default=math.inf)
        wake = max(min(due, self._next), self._earliest)
        if self._inotify is None:
            await anyio.sleep(max(wake - time.monotonic(), 0.0))
            return
        table = self._table()
        while not self._hints:
            with anyio.move_on_after(max(wake - time.monotonic(), 0.0)) as scope:
                await self._inotify.wait()
            if scope.cancelled_caught:
                return
            paths, lost = self._inotify.read()
            self._hints |= {
                path
                for path in paths
                if path in table.known or (table.is_zone(path) and table.is_master(path))
            }
            if lost:
                self._next = min(self._next, self._again)
                return
            if not self._hints:
                # Other files of these directories may change all the time.
                await anyio.sleep(LOOK_SECONDS)

    def close(self) -> None:
        """Ends the watch."""
        if self._inotify is not None:
            self._inotify.close()

    def _say(self, error: UnansweredError | ZoneError) -> None:
        """Logs once that the files cannot be looked at."""
        kind = type(error).__name__
        if kind not in self._troubles:
            log.warning("%s; the zones in use are served on", error)
        self._troubles.add(kind)

    async def _look(self) -> None:
        """Looks at all files if it is time to, else at those that are waited for."""
        table, now = self._table(), time.monotonic()
        hints = set(self._hints)
        if now < self._next:
            paths = {path: table.is_master(path) for path in self._pending.keys() | hints}
            taken, found = await off_loop(table.directory, partial(_stats, paths))
            self._earliest = time.monotonic() + max(LOOK_SECONDS * bool(hints), taken / LOOK_SHARE)
            self._note(found, table.known)
            self._hints -= hints
            return
        work = partial(_differences, table.directory, table.geo, table.others, dict(table.known))
        directories = {str(table.directory), *table.include_directories()}
        taken, found, error = await off_loop(
            table.directory, partial(_scan, work, self._inotify, directories)
        )
        if error is not None:
            self._say_unwatched(error)
        self._again = time.monotonic() + taken / SHARE
        self._next = max(self._again, time.monotonic() + POLL_SECONDS)
        self._hints -= hints
        for path in [path for path in self._pending if path not in found]:
            del self._pending[path]
        self._note(found, table.known)
        if self._troubles:
            self._troubles.clear()
            log.info("%s: answers again", table.directory)

    def _note(self, found: Mapping[str, Stat | None], known: Mapping[str, Stat | None]) -> None:
        now = time.monotonic()
        for path, stat in found.items():
            waited = self._pending.get(path)
            if stat == known.get(path):
                self._pending.pop(path, None)
            elif waited is None:
                self._pending[path] = _Pending(stat, now)
            elif waited.stat != stat:
                waited.stat, waited.due = stat, min(now + QUIET_SECONDS, waited.late)

    def _take_ready(self) -> dict[str, Stat | None]:
        """The files that have settled, if all others of their zones have, too."""
        now, table = time.monotonic(), self._table()
        moving = {path: each.due for path, each in self._pending.items() if each.due > now}
        ready: dict[str, Stat | None] = {}
        for path, waited in list(self._pending.items()):
            if path in moving:
                continue
            others = _files(table, path) & moving.keys() if moving else set()
            if others and now < waited.late:
                waited.due = max(moving[other] for other in others)
                continue
            ready[path] = waited.stat
            del self._pending[path]
        return ready


def _files(table: ZoneTable, path: str) -> set[str]:
    """The files of the zones that a file is part of."""
    zones = (table.zones.get(name) for name in table.names_of(path))
    return {source.path for state in zones if state for source in state.sources}


def _stats(paths: Mapping[str, bool]) -> tuple[float, dict[str, Stat | None]]:
    """The CPU time that it took, and the stats of files."""
    started = time.thread_time()
    found = {path: look(path, listed) for path, listed in paths.items()}
    return time.thread_time() - started, found


def _scan(
    work: Callable[[], dict[str, Stat | None]], inotify: Inotify | None, directories: set[str]
) -> tuple[float, dict[str, Stat | None], OSError | None]:
    """The CPU time that a scan took, what it found, and why a directory cannot be watched.

    Raises ZoneError.
    """
    started = time.thread_time()
    error = None
    if inotify is not None:
        try:
            # Before the scan: what changes from now on is reported.
            inotify.watch(directories)
        except OSError as caught:
            error = caught
    found = work()
    return time.thread_time() - started, found, error


def _differences(
    directory: Path, geo: bool, others: Iterable[str], known: Mapping[str, Stat | None]
) -> dict[str, Stat | None]:
    """The files of now that differ from the known ones.

    Raises ZoneError if the directory cannot be read, or is empty.
    """
    seen: dict[str, Stat | None] = dict(zone_stats(directory, geo))
    for path in others:
        if path not in seen:
            seen[path] = look(path, False)
    found = {path: stat for path, stat in seen.items() if known.get(path) != stat}
    return found | {path: None for path in known if path not in seen}
