"""The zone store: loads the zones, publishes them, keeps the old when the new are broken."""

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
from xdpkit.services.dns.compiler.sources import still
from xdpkit.services.dns.serving.load_progress import LoadProgress, told
from xdpkit.services.dns.serving.store import Arena, Progress, ZoneInfo, in_thread, load_zones
from xdpkit.services.dns.serving.watch import ZoneWatch

log = logging.getLogger("xdpkit")

# Reloads that may wait for the one at work; a further one waits to get in.
INBOX = 4

# A load that takes longer is announced.
LONG_SECONDS = 1.0

# What the service manager is asked for while the first load goes on, again and again: longer than
# any step between two reports takes.
EXTEND_USEC = 60_000_000


class Reload:
    """One request to read the zones again, and where its outcome is put."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.changed = False
        self.error: XdpkitError | None = None


class ZoneStore:
    """Owns the directory of zones and what was made of it last.

    ``cache`` is the directory where arenas are kept, None for nowhere; with ``watch`` the zones are
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
        self._unkept = ""
        self._send, self._receive = anyio.create_memory_object_stream[Reload](INBOX)

    @property
    def infos(self) -> Mapping[str, ZoneInfo]:
        """The zones that are served."""
        return self._arena.zones if self._arena else {}

    def facts(self) -> dict[str, Any]:
        """Of the arena that is served."""
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
        """Loads and publishes; False if the files are as they were, and nothing was to be done.

        Raises XdpkitError (ZoneError for a broken file); then what was served before is served on.
        """
        seen = await self._watch.look()
        try:
            if self._arena and await self._is_current(self._arena):
                return False
            await self._load()
        except XdpkitError as error:
            self._watch.refused(seen, error.path if isinstance(error, ConfigError) else None)
            raise
        except (OSError, ValueError, MemoryError) as error:
            self._watch.refused(seen, None)
            raise XdpkitError(
                f"the zones in {self._directory} could not be loaded ({error}): free descriptors "
                "or memory and reload"
            ) from error
        return True

    async def _is_current(self, arena: Arena) -> bool:
        now = await in_thread(lambda: still(arena.sources, self._directory), True)
        if now is not None:
            arena.sources = now
            self._watch.read(now)
        return now is not None

    async def _load(self) -> None:
        first = self._arena is None
        with ExitStack() as stack:
            bar = stack.enter_context(LoadProgress(self._directory)) if first else None
            announcer = _Announcer(self._directory, bar)
            arena = await load_zones(self._directory, self._cache, announcer, behind=not first)
        self.publish(arena)
        log.info("zones: %s", told(arena.names, arena.size, arena.seconds, arena.origin))
        if arena.unkept and arena.unkept != self._unkept:
            log.warning(
                "the compiled zones could not be kept for the next start (%s): make room or let us "
                'write there, or set cache under [dns] ("" turns it off)',
                arena.unkept,
            )
        self._unkept = arena.unkept

    def publish(self, arena: Arena) -> None:
        """Answers come from this arena from now on."""
        self._publisher.change(zones=arena.map)
        self._arena, self._loaded_at = arena, time.time()
        self._watch.read(arena.sources)

    async def run(self) -> None:
        """Does the reloads one after the other, and watches, until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._watched:
                tasks.start_soon(self._follow)
            async for reload in self._receive:
                try:
                    reload.changed = await self.load()
                except XdpkitError as error:
                    reload.error = error
                reload.done.set()

    async def _follow(self) -> None:
        """Asks for a reload whenever files changed."""
        while True:
            changed = await self._watch.change()
            shown = ", ".join(changed[:3]) + (f" and {len(changed) - 3} more" * (len(changed) > 3))
            try:
                facts = await self.reload()
            except XdpkitError as error:
                log.error("%s changed: %s; the old stays in use", shown, error)
            else:
                if facts["zones_changed"]:
                    log.info("%s changed: %d zones in use", shown, len(facts["zones"]))

    async def reload(self) -> dict[str, Any]:
        """Reads the zones again; returns when the threads answer from them. Raises ZoneError."""
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


class _Announcer:
    """Says that a load goes on: by the bar of a first one, or in the log; to systemd too."""

    def __init__(self, directory: Path, bar: LoadProgress | None) -> None:
        self._directory, self._bar = directory, bar
        self._started = self._notified = time.monotonic()
        self._said = bar is not None and bar.shown

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if self._bar is not None:
            self._bar(progress)
        if now - self._started > LONG_SECONDS and not self._said:
            self._said = True
            log.info("zones: compiling those in %s", self._directory)
        if self._bar is not None and now - self._notified > LONG_SECONDS:
            self._notified = now
            notify(f"EXTEND_TIMEOUT_USEC={EXTEND_USEC}")
