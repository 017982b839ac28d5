"""[interface] route_check: no answer goes where the host's routes lead nowhere.

A task of its own follows the routes and adds them to the services' access lists: the packet path
looks up one map, as it does for a list of the operator's, and none where there is neither.
"""

from __future__ import annotations

import logging
import socket
import time

import anyio

from xdpkit.config import Config
from xdpkit.errors import XdpkitError
from xdpkit.nic.os import dead_routes
from xdpkit.runtime.inbox import Signal
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services import access_list
from xdpkit.services.base import Prepared
from xdpkit.services.table import Services

log = logging.getLogger("xdpkit")

# Routes change in bursts, and reading a full table takes seconds: at most a twentieth of the time
# is spent on that.
PAUSE_SECONDS = 0.2
PAUSE_FACTOR = 20

# Without a notification they are read again after this time, in case reading has failed.
REREAD_SECONDS = 60.0


class RouteCheck:
    """``services`` learn which routes lead nowhere; ``count`` is how many routes were read."""

    def __init__(self, services: Services, publisher: SnapshotPublisher) -> None:
        self._services, self._publisher = services, publisher
        self._notifications: socket.socket = dead_routes.watch()
        self._failed = ""
        self._reloaded = Signal()
        self.count = 0

    async def prepare(self, config: Config) -> Prepared:
        """After a reload: the services may have prepared their lists with older routes."""
        return Prepared(commit=self._reloaded.set)

    async def apply(self) -> None:
        """Reads the routes and publishes what follows. Raises OSError and NicError."""
        spans = await anyio.to_thread.run_sync(dead_routes.read)
        nowhere = await anyio.to_thread.run_sync(access_list.routes, spans[4], spans[6])
        self.count = sum(dead for found in spans.values() for _, _, dead in found)
        if all(service.nowhere == nowhere for service in self._services):
            return
        for service in self._services:
            service.nowhere = nowhere
        self.publish()

    def publish(self) -> None:
        """Puts the routes into the lists in use; after a reload, the lists may be others."""
        parts = [service.admit() for service in self._services]
        self._publisher.change(**{key: part for each in parts for key, part in each.items()})

    async def run(self) -> None:
        """Follows routes and reloads until canceled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow)
            while True:
                await self._reloaded.wait()
                self.publish()

    async def _follow(self) -> None:
        """Follows the routes until canceled; what was read last stays while they are unreadable."""
        while True:
            with anyio.move_on_after(REREAD_SECONDS):
                await anyio.wait_readable(self._notifications)
            await anyio.sleep(PAUSE_SECONDS)
            dead_routes.drain(self._notifications)
            began = time.monotonic()
            try:
                await self.apply()
                self._failed = ""
            except (OSError, XdpkitError) as error:
                if str(error) != self._failed:
                    log.warning("%s; the routes read before stay in use", error)
                self._failed = str(error)
            await anyio.sleep(PAUSE_FACTOR * (time.monotonic() - began))

    def close(self) -> None:
        """Closes the netlink socket."""
        self._notifications.close()
