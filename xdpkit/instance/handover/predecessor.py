"""The running instance's side of a takeover: hands over its state to the successor.

Whatever the successor does, within two seconds the chosen queues are answered again:

    the successor, once the loops are parked         this instance
    serves                                           exits
    is gone, or does not take the rings in time      reads the byte back (``rings``), and goes on
    has taken the rings, and does not serve          has the slow path answer, waits, ends the
                                                     successor after a while, and goes on
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import anyio

from xdpkit.control.lock import InstanceLock
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.errors import ControlError
from xdpkit.instance.ending import Ending, Outcome
from xdpkit.instance.handover.messages import is_serving, ready_queues
from xdpkit.instance.handover.peer_process import PeerProcess
from xdpkit.instance.handover.rings import RingsOffer
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.instance.served_addresses import Served, ServedAddresses
from xdpkit.runtime.faults import faults
from xdpkit.services.table import Services
from xdpkit.slowpath.slow_path import SlowPath, sockets

if TYPE_CHECKING:
    from xdpkit.metrics.server import MetricsServer

log = logging.getLogger("xdpkit")

# The successor loads its program and opens its sockets meanwhile.
_READY_SECONDS = 60.0

# A turn of a loop takes microseconds, and a request to park wakes it up. This and the next
# together are less than the two seconds for which the queues may be silent.
_PARK_SECONDS = 0.75

# From the offer of the rings to "serving": milliseconds, unless the machine is overloaded.
_SERVING_SECONDS = 0.75

# How long the slow path may answer for a successor that has the rings and does not serve.
_STOPPED_SECONDS = 10.0

# From SIGKILL to the end of a process.
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Offered:
    """What is handed over besides the data plane and the slow path."""

    listener: socket.socket
    lock: InstanceLock
    metrics: MetricsServer | None
    services: Services


class Handovers:
    """The handovers of a running instance: one at a time, and the last one ends it."""

    def __init__(
        self,
        where: Served,
        offered: Offered,
        addresses: ServedAddresses,
    ) -> None:
        self._where, self._offered = where, offered
        self._addresses = addresses
        self._current: Handover | None = None
        self._restart: Wire | None = None
        self._kept = 0
        self._reason = ""

    @property
    def parked(self) -> bool:
        """Whether the loops are not to run: a successor may have the rings."""
        return self._current is not None and self._current.parked

    def facts(self) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        current = self._current
        return {
            "state": current.state if current else "none",
            "successor": current.process.pid if current else None,
            "kept": self._kept,
            "reason": self._reason,
        }

    async def handle(self, connection: socket.socket, ending: Ending) -> None:
        """Hands over to a successor and stops, or continues as before."""
        wire = Wire(connection)
        if self._addresses.paused:
            try:
                await wire.send({"error": "another successor is taking over"})
            finally:
                wire.close()
            return
        self._addresses.paused = True
        current = Handover(self._where, self._offered, wire)
        self._current = current
        try:
            with current:
                outcome = await current.run()
        except anyio.get_cancelled_exc_class():
            # This instance is told to stop: it must not undo what the successor serves with.
            if current.successor_has_the_rings:
                ending.outcome = Outcome.GIVEN
            raise
        except Exception as error:
            current.reason = faults.record("takeover", error)
            outcome = Outcome.GIVEN if current.successor_has_the_rings else Outcome.KEPT
        finally:
            if current.state != "restart":
                wire.close()
        ending.outcome = outcome
        if outcome is Outcome.RESTART:
            # Closed when this process exits: that tells the successor that everything is free.
            self._restart = wire
        if outcome is Outcome.KEPT:
            self._kept, self._reason, self._current = self._kept + 1, current.reason, None
            self._addresses.resume()
        else:
            ending.stop()


class _Said(Enum):
    """What the successor says once the loops are parked."""

    SERVING = "it serves"
    GONE = "it is gone"
    NOTHING = "it does not answer, or makes no sense"


class Handover:
    """One of them: from the successor's request until only one of the two serves.

    ``parked`` and ``state`` say how far it is, ``reason`` why it was kept. A context manager.
    """

    def __init__(
        self,
        where: Served,
        offered: Offered,
        wire: Wire,
    ) -> None:
        self._dataplane, self._slow_path = where.dataplane, where.slow_path
        self._offered, self._wire = offered, wire
        self.process = PeerProcess(wire.connection)
        self._rings = RingsOffer()
        self.parked = False
        self.successor_has_the_rings = False
        self.state = "preparing"
        self.reason = ""

    def __enter__(self) -> Handover:
        return self

    def __exit__(self, *exc: object) -> None:
        # Canceled by a signal while the loops are parked: somebody must own the rings.
        if self.parked:
            self.successor_has_the_rings = not self._rings.take_back()
        self._rings.close()
        self.process.close()

    async def run(self) -> Outcome:
        """Returns RESTART or GIVEN if this instance must end."""
        said = _Said.NOTHING
        try:
            message = await self._prepare()
            if "restart" in message:
                self.state = "restart"
                return Outcome.RESTART
            await self._park(message)
            self._rings.offer()
            said = await self._listen(_SERVING_SECONDS)
        except ControlError as error:
            self.reason = str(error)
        except Exception as error:
            self.reason = faults.record("takeover", error)
        if self._rings.take_back():
            if said is _Said.SERVING:
                self.reason = "it says that it serves, without having taken the rings"
        elif said is _Said.SERVING or await self._outlast(said):
            return Outcome.GIVEN
        await self._keep()
        return Outcome.KEPT

    async def _prepare(self) -> Mapping[str, Any]:
        """Sends the state; returns what the successor wants. Raises ControlError."""
        facts = handed_over(self._dataplane, self._slow_path, self._offered)
        await self._wire.send(facts, self._descriptors())
        message = await self._wire.receive(_READY_SECONDS)
        if message is None:
            raise ControlError(_Said.GONE.value)
        return message

    def _descriptors(self) -> list[int]:
        """In the order in which ``successor`` unpacks them."""
        link = self._dataplane.attached.link_fd
        fds = [self._offered.listener.fileno(), link, self._rings.receiver]
        if self._offered.metrics and not self._offered.metrics.not_served:
            fds.append(self._offered.metrics.listener.fileno())
        for queue in self._dataplane.queues:
            fds += [queue.socket.fileno(), queue.socket.umem_fd]
        for path in (self._slow_path.udp, self._slow_path.tcp):
            fds += [opened.fileno() for opened in sockets(path).values()]
        lock = self._offered.lock.fd
        return fds if lock is None else [*fds, lock]

    async def _park(self, message: Mapping[str, Any]) -> None:
        """Parks the loops of the queues that it is ready for. Raises ControlError."""
        wanted = ready_queues(message, [queue.number for queue in self._dataplane.queues])
        queues = [queue for queue in self._dataplane.queues if queue.number in wanted]
        self.parked, self.state = True, "parked"
        self._dataplane.park(queues)
        with anyio.move_on_after(_PARK_SECONDS):
            while not all(queue.worker.done for queue in queues):
                await anyio.sleep(0.0005)
        late = [queue for queue in queues if not queue.worker.done]
        if late:
            if self._slow_path.udp:
                self._dataplane.leave_parked_to_the_kernel(late)
            numbers = ", ".join(str(queue.number) for queue in late)
            raise ControlError(f"the worker of queue {numbers} is stalled")

    async def _listen(self, seconds: float | None) -> _Said:
        """Waits until the successor serves; ``reason`` is why it does not."""
        try:
            message = await self._wire.receive(seconds)
        except ControlError as error:
            self.reason = str(error)
            return _Said.NOTHING
        if message is None:
            self.reason = _Said.GONE.value
            return _Said.GONE
        if is_serving(message):
            return _Said.SERVING
        self.reason = "it sends malformed messages"
        return _Said.NOTHING

    async def _outlast(self, said: _Said) -> bool:
        """The successor has the rings and does not serve: waits, and ends it if need be.

        Returns whether it serves after all; if not, the rings are ours again. Meanwhile frames go
        to the kernel, whose sockets both instances have, or without a slow path wait on the rings.
        """
        self.state = "the successor has the rings and does not serve"
        by_kernel = self._slow_path.udp is not None
        if by_kernel:
            self._dataplane.leave_parked_to_the_kernel()
        self._put_program_back()
        log.error(
            "the successor (pid %d) has taken the rings and does not serve (%s): %s",
            self.process.pid,
            self.reason,
            "the slow path answers" if by_kernel else "nothing answers",
        )
        if said is _Said.NOTHING:
            # Without a slow path, nobody answers while it is waited for.
            said = await self._listen(_STOPPED_SECONDS if by_kernel else 0.0)
        if said is _Said.GONE and await self.process.wait_gone(_KILL_SECONDS):
            return False
        if said is _Said.SERVING:
            return True
        if self.process.kill() and await self.process.wait_gone(_KILL_SECONDS):
            log.error("the successor (pid %d) was killed", self.process.pid)
            return False
        log.error(
            "the successor (pid %d) could not be killed: kill it, or let it continue",
            self.process.pid,
        )
        while said is _Said.NOTHING:
            said = await self._listen(None)
            await anyio.sleep(1.0)
        return said is _Said.SERVING or not await self.process.wait_gone(None)

    async def _keep(self) -> None:
        """Restarts our loops, with our program in the link."""
        self.parked = False
        self._dataplane.resume_parked()
        self._put_program_back()
        log.warning("not taken over (%s): this instance continues to serve", self.reason)
        self._rings.close()
        try:
            await self._wire.send({"error": self.reason})
        except ControlError:
            return

    def _put_program_back(self) -> None:
        try:
            self._dataplane.attached.update()
        except OSError as error:
            log.error("the XDP program could not be put back: %s", error)


def _metrics(server: MetricsServer | None) -> str | None:
    """Where it listens, if it does."""
    return str(server.where) if server and not server.not_served else None


def handed_over(dataplane: DataPlane, slow_path: SlowPath, offered: Offered) -> dict[str, Any]:
    """The facts for the successor (``messages.check_facts``)."""
    return {
        "layout": LAYOUT,
        "mode": dataplane.mode,
        "bound": dataplane.attached.bound,
        "hardware_stamps": dataplane.hardware is not None,
        "queues": [
            {
                "number": queue.number,
                "tx_metadata": queue.socket.tx_metadata,
                "huge_pages": queue.socket.huge_pages,
            }
            for queue in dataplane.queues
        ],
        "lock": offered.lock.is_held,
        "metrics": _metrics(offered.metrics),
        "udp": list(sockets(slow_path.udp)),
        "tcp": list(sockets(slow_path.tcp)),
        "cookies": None,
        "health": None,
        **offered.services.handed_over(),
    }
