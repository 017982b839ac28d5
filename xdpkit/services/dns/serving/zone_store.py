"""The zone store: loads and publishes the zones, keeps the old ones if the new are broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio

from xdpkit.errors import ConfigError, XdpkitError
from xdpkit.runtime.notify import notify
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.dns.serving.load_progress import LoadProgress, describe_load
from xdpkit.services.dns.serving.store import Arena, Progress, ZoneInfo, in_thread, load_zones
from xdpkit.services.dns.serving.watch import ZoneWatch
from xdpkit.services.dns.zonefile.sources import unchanged

log = logging.getLogger("xdpkit")

# Reloads that may wait for the current one; further callers wait for room.
INBOX = 4

# A load that takes longer is logged when it begins.
LONG_SECONDS = 1.0

# The startup extension that the service manager is repeatedly asked for during the first load:
# longer than any step between two reports takes.
EXTEND_USEC = 60_000_000


class Reload:
    """One request to read the zones again, and its outcome."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.changed = False
        self.error: XdpkitError | None = None


class ZoneStore:
    """Owns the zone directory and the arena last made from it.

    ``cache`` is the directory of cached arenas, None for no cache; with ``watch`` the zones are
    read again when their files change.
    """

    def __init__(
        self,
        directory: Path,
        shared: SnapshotPublisher,
        cache: Path | None = None,
        watch: bool = False,
    ) -> None:
        self._directory = directory
        self._publisher = shared
        self._cache = cache
        self._watched = watch
        self._watch = ZoneWatch(directory)
        self._arena: Arena | None = None
        self._loaded_at = 0.0
        self._cache_error = ""
        self._send, self._receive = anyio.create_memory_object_stream[Reload](INBOX)

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

    async def load(self) -> bool:
        """Loads and publishes; False if the files are unchanged, so that there was nothing to do.

        Raises XdpkitError (ZoneError for a broken file); then the previous zones stay in use.
        """
        seen = await self._watch.scan()
        try:
            if self._arena and await self._is_current(self._arena):
                return False
            await self._load()
        except XdpkitError as error:
            self._watch.set_refused(seen, error.path if isinstance(error, ConfigError) else None)
            raise
        except (OSError, ValueError, MemoryError) as error:
            self._watch.set_refused(seen, None)
            raise XdpkitError(
                f"the zones in {self._directory} could not be loaded ({error}): free file "
                "descriptors or memory and reload"
            ) from error
        return True

    async def _is_current(self, arena: Arena) -> bool:
        now = await in_thread(lambda: unchanged(arena.sources, self._directory), True)
        if now is not None:
            arena.sources = now
            self._watch.set_used(now)
        return now is not None

    async def _load(self) -> None:
        first = self._arena is None
        with ExitStack() as stack:
            bar = stack.enter_context(LoadProgress(self._directory)) if first else None
            reporter = _ProgressReporter(self._directory, bar)
            arena = await load_zones(self._directory, self._cache, reporter, background=not first)
        self.publish(arena)
        log.info("zones: %s", describe_load(arena.names, arena.size, arena.seconds, arena.origin))
        if arena.cache_error and arena.cache_error != self._cache_error:
            log.warning(
                "the compiled zones could not be cached for the next start (%s): free space, grant "
                'write access, or set cache under [dns] ("" turns it off)',
                arena.cache_error,
            )
        self._cache_error = arena.cache_error

    def publish(self, arena: Arena) -> None:
        """Makes this the arena that is answered from."""
        self._publisher.change(zones=arena.map)
        self._arena, self._loaded_at = arena, time.time()
        self._watch.set_used(arena.sources)

    async def run(self) -> None:
        """Performs reloads one after the other, and watches the files, until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._watched:
                tasks.start_soon(self._reload_on_change)
            async for reload in self._receive:
                try:
                    reload.changed = await self.load()
                except XdpkitError as error:
                    reload.error = error
                reload.done.set()

    async def _reload_on_change(self) -> None:
        """Requests a reload whenever files have changed."""
        while True:
            changed = await self._watch.wait_for_change()
            shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" * (len(changed) > 3))
            try:
                facts = await self.reload()
            except XdpkitError as error:
                log.error("%s changed: %s; the old zones stay in use", shown, error)
            else:
                if facts["zones_changed"]:
                    log.info("%s changed: %d zones in use", shown, len(facts["zones"]))

    async def reload(self) -> dict[str, Any]:
        """Reads the zones again; returns once all threads answer from them. Raises ZoneError."""
        request = Reload()
        await self._send.send(request)
        await request.done.wait()
        if request.error:
            raise request.error
        await self._publisher.wait_for_grace_period()
        zones = {
            name: {"serial": info.serial, "names": info.names} for name, info in self.infos.items()
        }
        return {"zones": zones, "zones_changed": request.changed}

    def close(self) -> None:
        """Closes the inbox."""
        self._send.close()
        self._receive.close()


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
