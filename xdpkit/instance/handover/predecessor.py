"""The running instance's side of ``takeover``: gives what it serves with to its successor."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import anyio

from xdpkit.dataplane.dataplane import Bypass, Queue
from xdpkit._core._thread_state import TX_METADATA_BYTES
from xdpkit._core._stats import CHUNK, META_BYTES
from xdpkit._core._xsk import FRAMES
from xdpkit.services.dns.serving.cookies import CookieSecrets
from xdpkit.errors import ControlError
from xdpkit.slowpath.udp import SlowPath
from xdpkit.runtime.stream import send_all
from xdpkit.slowpath.tcp import TcpPath

log = logging.getLogger("xdpkit")

# Of the facts below: another one with each change of them.
_VERSION = 2

# Both must read alike what is handed over, and what lies in frames that are on their way meanwhile.
LAYOUT = [_VERSION, FRAMES, CHUNK, META_BYTES, TX_METADATA_BYTES]

# SCM_MAX_FD of linux/net/scm.h is 253: descriptors in one message.
_PER_MESSAGE = 250
_LINE_LIMIT = 1 << 20

# A loop's turn takes microseconds, its sleep ends when it is asked to park.
_PARK_SECONDS = 1.0

# For the successor's program to be loaded and its sockets to be opened.
_READY_SECONDS = 60.0


class Wire:
    """Lines of JSON, and descriptors, over a connection of the control socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._received = bytearray()
        self._descriptors: list[int] = []

    async def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends a line; a peer that is gone is no error. ``descriptors`` stay the caller's."""
        facts = {**message, "descriptors": len(descriptors)}
        await send_all(self._connection, json.dumps(facts).encode() + b"\n")
        for first in range(0, len(descriptors), _PER_MESSAGE):
            await anyio.wait_writable(self._connection)
            # A blank in front of the next line carries them.
            socket.send_fds(self._connection, [b" "], descriptors[first : first + _PER_MESSAGE])

    async def receive(self, seconds: float | None) -> dict[str, Any] | None:
        """The next line, its descriptors kept; None when the peer is gone.

        Raises ControlError after ``seconds``, and for what is no such line.
        """
        with anyio.move_on_after(seconds):
            while (message := self._message()) is None:
                await anyio.wait_readable(self._connection)
                try:
                    data, descriptors, _, _ = socket.recv_fds(
                        self._connection, 1 << 16, _PER_MESSAGE, socket.MSG_CMSG_CLOEXEC
                    )
                except BlockingIOError:
                    continue
                except OSError:
                    return None
                self._descriptors += descriptors
                if not data:
                    return None
                self._received += data
                if len(self._received) > _LINE_LIMIT:
                    raise ControlError("the other instance does not speak our language")
            return message
        raise ControlError("the other instance does not answer")

    def _message(self) -> dict[str, Any] | None:
        """The line that is there with all of its descriptors."""
        line, end, rest = self._received.partition(b"\n")
        if not end:
            return None
        try:
            message: dict[str, Any] = json.loads(line)
            missing = message.pop("descriptors", 0) > len(self._descriptors)
        except (ValueError, AttributeError, TypeError) as error:
            raise ControlError("the other instance does not speak our language") from error
        if missing:
            return None
        self._received = rest
        return message

    def take_descriptors(self) -> list[int]:
        """Those received so far, the caller's from now on."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        self._connection.close()
        for fd in self.take_descriptors():
            os.close(fd)


class Outcome(Enum):
    """How a handover ended."""

    KEPT = "this instance serves on"
    GIVEN = "the successor serves"
    RESTART = "the successor starts when this instance has stopped"


class Predecessor:
    """All that a running instance has to give; none of it is changed while it gives."""

    def __init__(
        self,
        bypass: Bypass,
        slow_path: SlowPath | None,
        tcp_path: TcpPath | None,
        listener: socket.socket,
        cookies: CookieSecrets | None,
    ) -> None:
        self.bypass, self.slow_path, self.tcp_path = bypass, slow_path, tcp_path
        self.listener, self.cookies = listener, cookies

    async def give(self, wire: Wire) -> Outcome:
        """From the successor's request to the end of one of us as the server."""
        parked: list[Queue] = []
        try:
            await wire.send(self._facts(), self._descriptors())
            ready = await wire.receive(_READY_SECONDS)
            if ready is None:
                return self._keep(parked)
            if "restart" in ready:
                return Outcome.RESTART
            parked = [queue for queue in self.bypass.queues if queue.number in ready["ready"]]
            if not await self._park(parked):
                await wire.send({"error": "a worker stands still"})
                return self._keep(parked)
            await wire.send({"parked": True})
            # However long: there must never be two loops on one ring.
            if await wire.receive(None) is None:
                return self._keep(parked)
        except ControlError as error:
            log.warning("handover: %s", error)
            return self._keep(parked)
        return Outcome.GIVEN

    def _facts(self) -> dict[str, Any]:
        return {
            "layout": LAYOUT,
            "mode": self.bypass.mode,
            "bound": self.bypass.attached.bound,
            "hardware_stamps": self.bypass.hardware is not None,
            "queues": [
                {
                    "number": queue.number,
                    "tx_metadata": queue.socket.tx_metadata,
                    "huge_pages": queue.socket.huge_pages,
                }
                for queue in self.bypass.queues
            ],
            "udp": list(self.slow_path.sockets) if self.slow_path else [],
            "tcp": list(self.tcp_path.sockets) if self.tcp_path else [],
            "cookies": self.cookies.bequest() if self.cookies else None,
        }

    def _descriptors(self) -> list[int]:
        """In the order in which ``takeover`` takes them."""
        fds = [self.listener.fileno(), self.bypass.attached.link_fd]
        for queue in self.bypass.queues:
            fds += [queue.socket.fileno(), queue.socket.umem_fd]
        for path in (self.slow_path, self.tcp_path):
            fds += [opened.fileno() for opened in path.sockets.values()] if path else []
        return fds

    async def _park(self, queues: Sequence[Queue]) -> bool:
        for queue in queues:
            queue.worker.park()
        with anyio.move_on_after(_PARK_SECONDS):
            while not all(queue.worker.done for queue in queues):
                await anyio.sleep(0.0005)
        return all(queue.worker.done for queue in queues)

    def _keep(self, parked: Sequence[Queue]) -> Outcome:
        """Puts our own program back, and our loops to work."""
        log.warning("the successor went away: this instance serves on")
        self.bypass.attached.update()
        for queue in parked:
            if queue.worker.done:
                queue.worker.join()
                queue.worker = self.bypass.hire(queue.socket, queue.number, queue.worker.memory)
                queue.socket.resume()
                queue.worker.start()
        return Outcome.KEPT
