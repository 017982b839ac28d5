"""Detects changes of zone files by polling.

A scan is a stat of each file: it works on every file system, including network ones, where inotify
does not report what other machines write. Ten thousand files take about 20 ms, in a thread: a file
system that does not answer holds up nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio

from xdpkit.errors import UnansweredError, ZoneError
from xdpkit.runtime.off_loop import off_loop
from xdpkit.services.dns.zonefile.sources import Source, Stat, stat_of, zone_files

log = logging.getLogger("xdpkit")

# Time between two scans.
POLL_SECONDS = 2.0

# Files count as completely written after this time without changes.
QUIET_SECONDS = 1.0

# Files that never settle are read after this time anyway.
PATIENCE_SECONDS = 30.0

# Scans take at most this share of the time, however many files there are.
SHARE = 0.02


class ZoneWatch:
    """Watches a directory's zones and the other files that they were made from.

    ``known`` are the files of the zones in use, or of the last attempt to read them.
    """

    def __init__(self, directory: Path) -> None:
        self.known: dict[str, Stat | None] = {}
        self._before = self.known
        self._directory = directory
        self._others: set[str] = set()
        self._seconds = 0.0
        self._silent = False

    def set_used(self, sources: Iterable[Source]) -> None:
        """Records that the zones in use were made from these files."""
        sources = list(sources)
        self.known = {source.path: source.stat for source in sources}
        self._others = {source.path for source in sources if not source.zone}

    def set_reading(self, seen: dict[str, Stat | None]) -> None:
        """Records that what was seen is being read: a change from now on is another one."""
        self._before, self.known = self.known, dict(seen)

    def set_unread(self) -> None:
        """Records that it could not be read to the end: what has changed is changed still."""
        self.known = self._before

    async def set_refused(self, seen: dict[str, Stat | None], path: str | None) -> None:
        """Records that what was seen could not be read, because of ``path`` if that is given."""
        self.known = dict(seen)
        if path is not None:
            self._others.add(path)
            with suppress(UnansweredError):
                self.known[path] = await off_loop(path, partial(stat_of, path))

    async def scan(self) -> dict[str, Stat | None]:
        """The current files; if the directory cannot be read, without its zones.

        Raises UnansweredError.
        """
        return await off_loop(self._directory, self._scan)

    def _scan(self) -> dict[str, Stat | None]:
        started = time.thread_time()
        try:
            zones = [str(path.absolute()) for path in zone_files(self._directory)]
        except ZoneError:
            zones = []
        seen = {path: stat_of(path) for path in sorted({*zones, *self._others})}
        self._seconds = time.thread_time() - started
        return seen

    async def wait_for_change(self) -> list[str]:
        """Waits until files differ from the known ones and have settled; returns their names."""
        while True:
            await anyio.sleep(max(POLL_SECONDS, self._seconds / SHARE))
            try:
                seen = await self.scan()
                if seen != self.known:
                    seen = await self._wait_until_quiet(seen)
            except UnansweredError as error:
                if not self._silent:
                    log.warning("%s; the zones in use are served on", error)
                self._silent = True
                continue
            if self._silent:
                self._silent = False
                log.info("%s: answers again", self._directory)
            names = {*seen, *self.known}
            changed = [name for name in names if seen.get(name) != self.known.get(name)]
            if changed:
                return sorted(Path(name).name for name in changed)

    async def _wait_until_quiet(self, seen: dict[str, Stat | None]) -> dict[str, Stat | None]:
        with anyio.move_on_after(PATIENCE_SECONDS):
            while True:
                await anyio.sleep(QUIET_SECONDS)
                before, seen = seen, await self.scan()
                if seen == before:
                    break
        return seen
