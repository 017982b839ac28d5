"""One instance takes over from another: ``xdpkit run --takeover``.

    successor                                     predecessor
    loads zones and state
    {"verb": "takeover"}                  ->
                                         <-       facts and descriptors
    maps rings and UMEM again, answers on the
    same kernel sockets
    {"ready": [queues]}                   ->      parks the loops: each ends after its turn
                                         <-       a byte in a pipe, which whoever owns the rings has
    reads the byte (``rings``), puts its own              read
    program into the link, starts its loops
    {"serving": true}                     ->      closes its descriptors, and exits

Frames that arrive between the two loops wait on the ring. If one of the two exits before "serving",
the other answers; what a predecessor does about a successor that does not go on is in
``predecessor``. Where the kernel does not allow the rings of a bound socket to be mapped again
(Linux 6.1), or the two versions lay out frames differently, the successor makes the predecessor
stop, starts as usual, and logs for how long nothing was answered.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xdpkit._core._xsk import XskError, XskSocket
from xdpkit.control.client import connect_instance
from xdpkit.control.lock import Holder
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.errors import ControlError
from xdpkit.instance.handover.messages import (
    FIRST_DESCRIPTORS,
    MOST_DESCRIPTORS,
    check_facts,
    refusal,
)
from xdpkit.instance.handover.rings import Answer, take_rings
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.runtime.closing import Closing
from xdpkit.slowpath.key import Key

log = logging.getLogger("xdpkit")

# Long enough for an instance that is busy with a reload.
ANSWER_SECONDS = 30.0

# A predecessor stops within a second, or later while TCP clients send queries.
END_SECONDS = 30.0

# It says why right after it has kept the rings.
_REFUSAL_SECONDS = 2.0


@dataclass
class HandedOverState(Closing):
    """What a running instance handed over; whoever takes a part out must close it."""

    ifname: str
    wire: Wire
    facts: Mapping[str, Any]
    listener: socket.socket
    link_fd: int
    rings_fd: int
    lock_fd: int = -1
    """Its lock; -1 if it has none."""
    metrics: socket.socket | None = None
    sockets: dict[int, XskSocket] = field(default_factory=dict)
    udp: dict[Key, socket.socket] = field(default_factory=dict)
    tcp: dict[Key, socket.socket] = field(default_factory=dict)

    def take_link(self) -> int:
        fd, self.link_fd = self.link_fd, -1
        return fd

    def take_metrics(self, address: str) -> socket.socket | None:
        """The socket that listens at this address, if the predecessor has one for metrics."""
        taken = None
        if address == self.facts["metrics"]:
            taken, self.metrics = self.metrics, None
        return taken

    def take_lock(self) -> int:
        fd, self.lock_fd = self.lock_fd, -1
        return fd

    async def switch(self, dataplane: DataPlane, changes: Changes) -> None:
        """Takes the rings, then switches the program and the loops; all else must be ready.

        Raises ControlError if the predecessor keeps the rings: it continues to answer then.
        """
        if self.facts["hardware_stamps"]:
            dataplane.attached.hardware = HardwareStamps(changes, taken_over=True)
        taken_over = [queue for queue in dataplane.queues if queue.taken_over]
        await self.wire.send({"ready": [queue.number for queue in taken_over]})
        if await take_rings(self.rings_fd, ANSWER_SECONDS) is Answer.KEPT:
            raise ControlError(f"{self.ifname}: not taken over: {await self._refusal()}")
        dataplane.attached.update()
        for queue in taken_over:
            queue.socket.resume()
            queue.worker.start()
            queue.taken_over = False
        await self.wire.send({"serving": True})

    async def _refusal(self) -> str:
        """Why the predecessor keeps the rings, in its words."""
        with contextlib.suppress(ControlError):
            answer = await self.wire.receive(_REFUSAL_SECONDS)
            return (refusal(answer) if answer else None) or "the running instance serves on"
        return "the running instance serves on"

    def close(self) -> None:
        """Closes what was not taken out; a predecessor that still waits continues to answer."""
        self.wire.close()
        self.drop()

    def drop(self) -> None:
        """Closes what was not taken out, except for the connection to the predecessor."""
        while self.sockets:
            self.sockets.popitem()[1].close()
        for sockets in (self.udp, self.tcp):
            while sockets:
                sockets.popitem()[1].close()
        if self.metrics:
            self.metrics.close()
            self.metrics = None
        for fd in (self.take_link(), self.take_lock(), self.rings_fd):
            if fd >= 0:
                os.close(fd)
        self.rings_fd = -1


async def request_takeover(
    ifname: str, holder: Holder | None = None
) -> HandedOverState | float | None:
    """Requests the state of the instance that serves the interface, whose lock ``holder`` has.

    Returns None if there is none; if it had to be stopped, the time (``time.monotonic``) when it
    stopped answering; else its state. Raises ControlError.
    """
    try:
        connection = connect_instance(ifname, holder)
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return None
        raise ControlError(f"{ifname}: control socket: {error.strerror}") from error
    wire = Wire(connection, MOST_DESCRIPTORS)
    try:
        await wire.send({"verb": "takeover"})
        facts = await wire.receive(ANSWER_SECONDS)
        if facts is None:
            # It has exited, or else its name cannot be had next.
            wire.close()
            return time.monotonic()
        if (reason := refusal(facts)) is not None:
            raise ControlError(f"{ifname}: not taken over: {reason}: stop it, then start this one")
        try:
            return _handed_over(ifname, wire, facts)
        except XskError as error:
            # EBUSY: the rings of a bound socket are nobody else's (XskSocket.adopt).
            kernels = error.errno == errno.EBUSY
            what = (
                "this kernel cannot map its rings again"
                if kernels
                else "its rings could not be taken over"
            )
            reason = f"{what} ({error})"
        except ValueError as error:
            reason = str(error)
        log.warning("%s is restarted, not taken over: %s", ifname, reason)
        return await _restart(ifname, wire)
    except BaseException:
        wire.close()
        raise


def _handed_over(ifname: str, wire: Wire, facts: Mapping[str, Any]) -> HandedOverState:
    """Assigns the descriptors. Raises XskError, ValueError for another layout, or ControlError."""
    if facts.get("layout") != LAYOUT:
        found = str(facts.get("layout"))[:100]
        raise ValueError(f"its handover layout is {found}, this version's is {LAYOUT}")
    descriptors = wire.take_descriptors()
    state = None
    try:
        check_facts(facts, len(descriptors))
        listener = socket.socket(fileno=descriptors[0])
        state = HandedOverState(ifname, wire, facts, listener, descriptors[1], descriptors[2])
        del descriptors[:FIRST_DESCRIPTORS]
        _assign(state, descriptors)
    except BaseException as error:
        if state:
            state.listener.close()
            state.drop()
        if isinstance(error, OSError) and not isinstance(error, XskError):
            raise ControlError(
                f"{ifname}: not taken over: the running instance sends other descriptors than it "
                f"says ({error.strerror}): stop it, then start this one"
            ) from error
        raise
    finally:
        for fd in descriptors:
            os.close(fd)
    return state


def _assign(state: HandedOverState, descriptors: list[int]) -> None:
    """Takes the descriptors of sockets out of the list, in the order of the facts."""
    if state.facts["metrics"]:
        state.metrics = socket.socket(fileno=descriptors[0])
        del descriptors[0]
    for queue in state.facts["queues"]:
        xsk_fd, umem_fd = descriptors.pop(0), descriptors.pop(0)
        state.sockets[queue["number"]] = XskSocket.adopt(
            xsk_fd, umem_fd, queue["number"], queue["tx_metadata"], queue["huge_pages"]
        )
    for where, kind in ((state.udp, "udp"), (state.tcp, "tcp")):
        for address, service, port in state.facts[kind]:
            opened = socket.socket(fileno=descriptors[0])
            del descriptors[0]
            where[address, service, port] = opened
    if state.facts["lock"]:
        state.lock_fd = descriptors.pop(0)


async def _restart(ifname: str, wire: Wire) -> float:
    """Makes the predecessor stop; it has cleaned up when its end of the connection closes."""
    ended = time.monotonic()
    await wire.send({"restart": True})
    if await wire.receive(END_SECONDS) is not None:
        raise ControlError(
            f"{ifname}: the running instance does not stop: kill it, then start this one"
        )
    wire.close()
    return ended
