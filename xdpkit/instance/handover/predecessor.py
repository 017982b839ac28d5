"""The running instance's side of a takeover: hands over its state to the successor."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Any

import anyio

from xdpkit.control.lock import InstanceLock
from xdpkit.dataplane.dataplane import DataPlane, Queue
from xdpkit.errors import ControlError
from xdpkit.instance.ending import Ending, Outcome
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.instance.served_addresses import Served, ServedAddresses
from xdpkit.services.table import Services
from xdpkit.slowpath.slow_path import SlowPath, sockets

log = logging.getLogger("xdpkit")

# A turn of a loop takes microseconds, and a request to park wakes it up.
_PARK_SECONDS = 1.0

# The successor loads its program and opens its sockets meanwhile.
_READY_SECONDS = 60.0


class Handovers:
    """The handovers of a running instance: one at a time, and the last one ends it."""

    def __init__(
        self,
        where: Served,
        listener: socket.socket,
        services: Services,
        addresses: ServedAddresses,
        lock: InstanceLock,
    ) -> None:
        self._predecessor = Predecessor(where.dataplane, where.slow_path, listener, services, lock)
        self._addresses = addresses
        self._restart: Wire | None = None

    async def handle(self, connection: socket.socket, ending: Ending) -> None:
        """Hands over to a successor and stops, or continues as before."""
        wire = Wire(connection)
        if self._addresses.paused:
            await wire.send({"error": "another successor is taking over"})
            wire.close()
            return
        self._addresses.paused = True
        ending.outcome = await self._predecessor.hand_over(wire)
        if ending.outcome is Outcome.RESTART:
            # Closed when this process exits: that tells the successor that everything is free.
            self._restart = wire
        else:
            wire.close()
        if ending.outcome is Outcome.KEPT:
            self._addresses.resume()
        else:
            ending.stop()


class Predecessor:
    """All that a running instance hands over; none of it may change meanwhile."""

    def __init__(
        self,
        dataplane: DataPlane,
        slow_path: SlowPath,
        listener: socket.socket,
        services: Services,
        lock: InstanceLock,
    ) -> None:
        self.dataplane, self.slow_path = dataplane, slow_path
        self.listener, self.services, self.lock = listener, services, lock

    async def hand_over(self, wire: Wire) -> Outcome:
        """Runs from the successor's request until only one of the two serves."""
        parked: list[Queue] = []
        try:
            await wire.send(self._facts(), self._descriptors())
            ready = await wire.receive(_READY_SECONDS)
            if ready is None:
                return self._resume(parked)
            if "restart" in ready:
                return Outcome.RESTART
            parked = [queue for queue in self.dataplane.queues if queue.number in ready["ready"]]
            if not await self._park(parked):
                await wire.send({"error": "a worker is stalled"})
                return self._resume(parked)
            await wire.send({"parked": True})
            # Without a time limit: there must never be two loops on one ring.
            if await wire.receive(None) is None:
                return self._resume(parked)
        except ControlError as error:
            log.warning("handover: %s", error)
            return self._resume(parked)
        return Outcome.GIVEN

    def _facts(self) -> dict[str, Any]:
        return {
            "layout": LAYOUT,
            "mode": self.dataplane.mode,
            "bound": self.dataplane.attached.bound,
            "hardware_stamps": self.dataplane.hardware is not None,
            "queues": [
                {
                    "number": queue.number,
                    "tx_metadata": queue.socket.tx_metadata,
                    "huge_pages": queue.socket.huge_pages,
                }
                for queue in self.dataplane.queues
            ],
            "udp": list(sockets(self.slow_path.udp)),
            "tcp": list(sockets(self.slow_path.tcp)),
            "lock": self.lock.is_held,
            "cookies": None,
            **self.services.handed_over(),
        }

    def _descriptors(self) -> list[int]:
        """In the order in which ``successor`` unpacks them."""
        fds = [self.listener.fileno(), self.dataplane.attached.link_fd]
        for queue in self.dataplane.queues:
            fds += [queue.socket.fileno(), queue.socket.umem_fd]
        for path in (self.slow_path.udp, self.slow_path.tcp):
            fds += [opened.fileno() for opened in sockets(path).values()]
        return fds if self.lock.fd is None else [*fds, self.lock.fd]

    async def _park(self, queues: Sequence[Queue]) -> bool:
        for queue in queues:
            queue.worker.park()
        with anyio.move_on_after(_PARK_SECONDS):
            while not all(queue.worker.done for queue in queues):
                await anyio.sleep(0.0005)
        return all(queue.worker.done for queue in queues)

    def _resume(self, parked: Sequence[Queue]) -> Outcome:
        """Puts our own program back into the link and restarts our loops."""
        log.warning("the successor is gone: this instance continues to serve")
        self.dataplane.attached.update()
        for queue in parked:
            if queue.worker.done:
                queue.worker.join()
                queue.worker = self.dataplane.start_worker(
                    queue.socket, queue.number, queue.worker.state
                )
                queue.socket.resume()
                queue.worker.start()
        return Outcome.KEPT
