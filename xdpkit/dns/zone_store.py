"""The zone store: compiles the zones, publishes them, keeps the old when the new are broken."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio

from xdpkit.cext._snapshot import ZoneMap
from xdpkit.dns.store import Progress, ZoneInfo, compile_zones
from xdpkit.errors import XdpkitError
from xdpkit.publication import Publication

log = logging.getLogger("xdpkit")

# Reloads that may wait for the one at work; a further one waits to get in.
INBOX = 4


class Reload:
    """One request to read the zones again, and where its outcome is put."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: XdpkitError | None = None


class ZoneStore:
    """Owns the directory of zones and what was made of it last."""

    def __init__(self, directory: Path, publication: Publication) -> None:
        self.infos: Mapping[str, ZoneInfo] = {}
        self._directory = directory
        self._publication = publication
        self._send, self._receive = anyio.create_memory_object_stream[Reload](INBOX)

    async def load(self) -> None:
        """Compiles and publishes.

        Raises XdpkitError (ZoneError for a broken file); then what was served before is served on.
        """
        try:
            with await compile_zones(self._directory, self._progress) as arena:
                self._publication.change(zones=ZoneMap(arena.fd, arena.size))
                self.infos = arena.zones
        except (OSError, ValueError, MemoryError) as error:
            raise XdpkitError(
                f"the zones in {self._directory} could not be compiled ({error}): free descriptors "
                "or memory and reload"
            ) from error

    def _progress(self, progress: Progress) -> None:
        if progress.done:
            log.info("zones: %s read, %d names", progress.zone, progress.records)

    async def run(self) -> None:
        """Does the reloads one after the other, until cancelled."""
        async for reload in self._receive:
            try:
                await self.load()
            except XdpkitError as error:
                reload.error = error
            reload.done.set()

    async def reload(self) -> dict[str, Any]:
        """Reads the zones again; returns when the threads answer from them. Raises ZoneError."""
        request = Reload()
        await self._send.send(request)
        await request.done.wait()
        if request.error:
            raise request.error
        await self._publication.passed()
        zones = {
            name: {"serial": info.serial, "names": info.names} for name, info in self.infos.items()
        }
        return {"zones": zones}

    def close(self) -> None:
        """Closes the inbox."""
        self._send.close()
        self._receive.close()
