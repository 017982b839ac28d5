"""The running instance's side of a takeover: hands over its state to the successor."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from enum import Enum
from typing import Any

import anyio

from xdpkit.dataplane.dataplane import DataPlane, Queue
from xdpkit.errors import ControlError
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.services.dns.serving.cookies import CookieSecrets
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath

log = logging.getLogger("xdpkit")

# A turn of a loop takes microseconds, and a request to park wakes it up.
_PARK_SECONDS = 1.0

# The successor loads its program and opens its sockets meanwhile.
_READY_SECONDS = 60.0


class Outcome(Enum):
    """How a handover ended."""

    KEPT = "this instance continues to serve"
    GIVEN = "the successor serves"
    RESTART = "the successor starts after this instance has stopped"


class Predecessor:
    """All that a running instance hands over; none of it may change meanwhile."""

    def __init__(
        self,
        dataplane: DataPlane,
        udp_path: UdpSlowPath | None,
        tcp_path: TcpSlowPath | None,
        listener: socket.socket,
        cookies: CookieSecrets | None,
    ) -> None:
        self.dataplane, self.udp_path, self.tcp_path = dataplane, udp_path, tcp_path
        self.listener, self.cookies = listener, cookies

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
            "udp": list(self.udp_path.sockets) if self.udp_path else [],
            "tcp": list(self.tcp_path.sockets) if self.tcp_path else [],
            "cookies": self.cookies.handed_over() if self.cookies else None,
        }

    def _descriptors(self) -> list[int]:
        """In the order in which ``successor`` unpacks them."""
        fds = [self.listener.fileno(), self.dataplane.attached.link_fd]
        for queue in self.dataplane.queues:
            fds += [queue.socket.fileno(), queue.socket.umem_fd]
        for path in (self.udp_path, self.tcp_path):
            fds += [opened.fileno() for opened in path.sockets.values()] if path else []
        return fds

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
