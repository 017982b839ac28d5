"""Notices that zone files change, by looking at them.

A look is a stat of each file: it works on every file system, network ones too, where inotify says
nothing of what others write. Ten thousand files take some 20 ms, in steps between which the control
plane does its other work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.lowlevel

from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler.sources import Source, Stat, stat_of, zone_files

# Between two looks.
POLL_SECONDS = 2.0

# So long nothing may change before files count as written.
QUIET_SECONDS = 1.0

# Files that never come to rest are read nevertheless.
PATIENCE_SECONDS = 30.0

# A look takes at most this share of the time, however many files there are.
SHARE = 0.02

# Files of one step.
STEP = 256


class ZoneWatch:
    """Looks at a directory's zones and at what else they were made from.

    ``known`` is what the zones in use, or the last attempt to read them, were made from.
    """

    def __init__(self, directory: Path) -> None:
        self.known: dict[str, Stat | None] = {}
        self._directory = directory
        self._others: set[str] = set()
        self._seconds = 0.0

    def read(self, sources: Iterable[Source]) -> None:
        """The zones in use are of these files."""
        sources = list(sources)
        self.known = {source.path: source.stat for source in sources}
        self._others = {source.path for source in sources if not source.zone}

    def refused(self, seen: dict[str, Stat | None], path: str | None) -> None:
        """What was seen could not be read; for what is in the file ``path``, if there is one."""
        self.known = dict(seen)
        if path is not None:
            self._others.add(path)
            self.known[path] = stat_of(path)

    async def look(self) -> dict[str, Stat | None]:
        """The files as they are; without its zones, a directory that cannot be read."""
        started = time.thread_time()
        try:
            zones = [str(path.absolute()) for path in zone_files(self._directory)]
        except ZoneError:
            zones = []
        seen = {}
        for count, path in enumerate(sorted({*zones, *self._others})):
            seen[path] = stat_of(path)
            if count % STEP == STEP - 1:
                await anyio.lowlevel.checkpoint()
        self._seconds = time.thread_time() - started
        return seen

    async def change(self) -> list[str]:
        """Waits until files differ from the known ones and rest; returns their names."""
        while True:
            await anyio.sleep(max(POLL_SECONDS, self._seconds / SHARE))
            seen = await self.look()
            if seen == self.known:
                continue
            seen = await self._rest(seen)
            names = {*seen, *self.known}
            changed = [name for name in names if seen.get(name) != self.known.get(name)]
            if changed:
                return sorted(Path(name).name for name in changed)

    async def _rest(self, seen: dict[str, Stat | None]) -> dict[str, Stat | None]:
        with anyio.move_on_after(PATIENCE_SECONDS):
            while True:
                await anyio.sleep(QUIET_SECONDS)
                before, seen = seen, await self.look()
                if seen == before:
                    break
        return seen
