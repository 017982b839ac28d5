"""The zone store: loads and publishes the zones, keeps the old ones if the new are broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from xdpkit.config import DnsConfig
from xdpkit.errors import ConfigError, StuckError, UnansweredError, XdpkitError
from xdpkit.runtime.current_task import CurrentTask
from xdpkit.runtime.inbox import Inbox
from xdpkit.runtime.notify import notify
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.runtime.reasons import failed
from xdpkit.services.base import Prepared
from xdpkit.services.dns.compiler.compile import BACKGROUND_NICE
from xdpkit.services.dns.serving.load_progress import LoadProgress, describe_load
from xdpkit.services.dns.serving.store import Arena, Progress, ZoneInfo, load_zones
from xdpkit.services.dns.serving.watch import ZoneWatch
from xdpkit.services.dns.zonefile.sources import unchanged

log = logging.getLogger("xdpkit")

# Requests to read the zones that may wait: of the reload, and of the watch on the files.
INBOX = 4

# A load that takes longer is logged when it begins.
LONG_SECONDS = 1.0

# Comparing the files with the zones in use means reading those that may have changed unnoticed.
COMPARE_SECONDS = 60.0

# The startup extension that the service manager is repeatedly asked for during the first load:
# longer than any step between two reports takes.
EXTEND_USEC = 60_000_000


class ZoneStore:
    """Owns the zones: the arena in use, and the task that reads them again, one at a time."""

    def __init__(self, config: DnsConfig, publisher: SnapshotPublisher) -> None:
        self._config = config
        self._publisher = publisher
        self._watch = ZoneWatch(config.zones)
        self._watching = CurrentTask(self._watch_files)
        self._arena: Arena | None = None
        self._loaded_at = 0.0
        self._cache_error = ""
        self._stuck = False
        self.inbox = Inbox[DnsConfig, Arena]("zones", INBOX)

    @property
    def infos(self) -> Mapping[str, ZoneInfo]:
        """The zones being served."""
        return self._arena.zones if self._arena else {}

    def facts(self) -> dict[str, Any]:
        """Facts about the arena being served, for status."""
        if self._arena is None:
            return {}
        return {
            "bytes": self._arena.size,
            "names": self._arena.names,
            "load_s": round(self._arena.seconds, 3),
            "source": self._arena.origin,
            "loaded_at": datetime.fromtimestamp(self._loaded_at, UTC).isoformat("T", "seconds"),
        }

    async def load(self) -> None:
        """The first load: reads the zones and publishes them. Raises XdpkitError."""
        self._use(await self._read(self._config))

    async def prepare(self, config: DnsConfig) -> Prepared:
        """Reads the zones again, by a possibly new configuration, without using them.

        Raises XdpkitError (ZoneError for a broken file), and BusyError.
        """
        arena = await self.inbox.ask(config)
        changed = arena is not self._arena

        def commit() -> None:
            before, self._config = self._config, config
            if config.zones != before.zones:
                self._watch = ZoneWatch(config.zones)
            if (config.zones, config.watch) != (before.zones, before.watch):
                self._watch.set_used(arena.sources)
                self._watching.restart()
            if changed:
                self._take(arena)

        zones = {
            name: {"serial": info.serial, "names": info.names} for name, info in arena.zones.items()
        }
        facts = {"zones": zones, "zones_changed": changed}
        return Prepared({"zones": arena.map}, commit, facts=facts, discard=self._watch.set_unread)

    async def _read(self, config: DnsConfig) -> Arena:
        """The arena of the zones now, which is the one in use if their files are unchanged.

        Raises XdpkitError; the watch then waits for the next change.
        """
        ours = config.zones == self._config.zones
        seen = await self._watch.scan() if ours else {}
        if ours:
            self._watch.set_reading(seen)
        try:
            if ours and self._arena and await self._is_current(self._arena):
                return self._arena
            return await self._load(config)
        except (StuckError, UnansweredError):
            if ours:
                self._watch.set_unread()
            raise
        except XdpkitError as error:
            if ours:
                path = error.path if isinstance(error, ConfigError) else None
                await self._watch.set_refused(seen, path)
            raise
        except (OSError, ValueError, MemoryError) as error:
            if ours:
                await self._watch.set_refused(seen, None)
            what = f"the zones in {config.zones} could not be loaded"
            raise XdpkitError(failed(what, error)) from error

    async def _is_current(self, arena: Arena) -> bool:
        directory = self._config.zones
        work = partial(unchanged, arena.sources, directory)
        now = await off_loop(directory, work, COMPARE_SECONDS, BACKGROUND_NICE)
        if now is not None:
            arena.sources = now
            self._watch.set_used(now)
        return now is not None

    async def _load(self, config: DnsConfig) -> Arena:
        first, directory = self._arena is None, config.zones
        with ExitStack() as stack:
            bar = stack.enter_context(LoadProgress(directory)) if first else None
            reporter = _ProgressReporter(directory, bar)
            cache = config.cache_directory()
            arena = await load_zones(directory, cache, reporter, not first, self._is_awaited)
        log.info("zones: %s", describe_load(arena.names, arena.size, arena.seconds, arena.origin))
        if arena.cache_error and arena.cache_error != self._cache_error:
            log.warning(
                "the compiled zones could not be cached for the next start (%s): free space, grant "
                'write access, or set cache under [dns] ("" turns it off)',
                arena.cache_error,
            )
        self._cache_error = arena.cache_error
        return arena

    def _is_awaited(self) -> bool:
        """Whether somebody waits for the zones to be read once more."""
        return self.inbox.waiting > 1

    def _use(self, arena: Arena) -> None:
        """Makes this the arena that is answered from."""
        self._publisher.change(zones=arena.map)
        self._take(arena)

    def _take(self, arena: Arena) -> None:
        """Keeps the arena that is in use from now on."""
        self._arena, self._loaded_at = arena, time.time()
        self._watch.set_used(arena.sources)

    async def run(self) -> None:
        """Reads the zones whenever asked to, and watches the files, until canceled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watching.run)
            tasks.start_soon(self.inbox.run, self._read)

    def _watch_files(self) -> Callable[[], Awaitable[None]] | None:
        return self._reload_on_change if self._config.watch else None

    async def _reload_on_change(self) -> None:
        """Takes the zones into use whenever their files have changed."""
        async with anyio.create_task_group() as tasks:
            while True:
                changed = await self._watch.wait_for_change()
                # Whoever waits for their turn to read the zones will see this change, too.
                if not self._is_awaited():
                    tasks.start_soon(self._read_and_use, changed)

    async def _read_and_use(self, changed: list[str]) -> None:
        shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" * (len(changed) > 3))
        try:
            arena = await self.inbox.ask(self._config)
        except (StuckError, UnansweredError) as error:
            if not self._stuck:
                log.error("%s changed: %s; the old zones stay in use, trying again", shown, error)
            self._stuck = True
            return
        except XdpkitError as error:
            for line in error.lines():
                log.error("%s changed: %s; the old zones stay in use", shown, line)
            return
        self._stuck = False
        if arena is not self._arena:
            self._use(arena)
            await self._publisher.settle()
            log.info("%s changed: %d zones in use", shown, len(arena.zones))

    def close(self) -> None:
        """Closes the inbox."""
        self.inbox.close()


class _ProgressReporter:
    """Reports a load in progress: by a bar for the first one, or in the log; to systemd too."""

    def __init__(self, directory: Path, bar: LoadProgress | None) -> None:
        self._directory, self._bar = directory, bar
        self._started = self._notified = time.monotonic()
        self._reported = bar is not None and bar.visible

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar(progress)
        if now - self._started > LONG_SECONDS and not self._reported:
            self._reported = True
            log.info("zones: compiling %s", self._directory)
        if self._bar is not None and now - self._notified > LONG_SECONDS:
            self._notified = now
            notify(f"EXTEND_TIMEOUT_USEC={EXTEND_USEC}")
