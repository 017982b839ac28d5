"""One instance goes on where another leaves off: ``xdpkit run --takeover``.

    successor                                     predecessor (``handover``)
    zones and state are ready
    {"verb": "takeover"}                  ->
                                         <-       what it serves with, and the descriptors
    maps rings and UMEM again, answers on the
    same kernel sockets, puts its own program
    into the link
    {"ready": [queues]}                   ->      parks the loops: each ends after its turn
                                         <-       {"parked": true}
    starts its loops
    {"serving": true}                     ->      closes its descriptors, and ends

Frames that come between the two loops wait on the ring. Whoever goes away before "serving" leaves
the other answering. Where the kernel lets nobody map the rings of a bound socket (Linux 6.1), or
the two versions lay out frames differently, the successor has the predecessor stop, starts as
usual, and says how long nothing was answered.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xdpkit._core._xsk import XskError, XskSocket
from xdpkit.control.client import connect, peer
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.errors import ControlError
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.runtime.closing import Closing
from xdpkit.slowpath.listeners import Key

log = logging.getLogger("xdpkit")

# For the reply of an instance that is busy with a reload.
ANSWER_SECONDS = 30.0

# A predecessor ends within a second, longer where TCP clients are still asking.
END_SECONDS = 30.0


@dataclass
class HandedOverState(Closing):
    """What a running instance handed over; what is taken out of it is the taker's to close."""

    ifname: str
    wire: Wire
    facts: Mapping[str, Any]
    listener: socket.socket
    link_fd: int
    sockets: dict[int, XskSocket] = field(default_factory=dict)
    udp: dict[Key, socket.socket] = field(default_factory=dict)
    tcp: dict[Key, socket.socket] = field(default_factory=dict)

    def take_link(self) -> int:
        fd, self.link_fd = self.link_fd, -1
        return fd

    async def switch(self, dataplane: DataPlane, changes: Changes) -> None:
        """The program first, then the loops; all else must be ready to answer.

        Raises ControlError where the predecessor's loops do not park: it answers on then.
        """
        if self.facts["hardware_stamps"]:
            dataplane.attached.hardware = HardwareStamps(changes, taken_over=True)
        dataplane.attached.update()
        inherited = [queue for queue in dataplane.queues if queue.inherited]
        await self.wire.send({"ready": [queue.number for queue in inherited]})
        answer = await self.wire.receive(ANSWER_SECONDS)
        # A predecessor that is gone has parked its loops as well.
        if answer is not None and "error" in answer:
            raise ControlError(f"{self.ifname}: not taken over: {answer['error']}")
        for queue in inherited:
            queue.socket.resume()
            queue.worker.start()
            queue.inherited = False
        await self.wire.send({"serving": True})

    def close(self) -> None:
        """Closes what nobody took; a predecessor that still waits answers on."""
        self.wire.close()
        self.drop()

    def drop(self) -> None:
        """Closes what nobody took; the predecessor may be spoken to on."""
        while self.sockets:
            self.sockets.popitem()[1].close()
        for left in (self.udp, self.tcp):
            while left:
                left.popitem()[1].close()
        if self.link_fd >= 0:
            os.close(self.link_fd)
            self.link_fd = -1


async def ask(ifname: str) -> HandedOverState | float | None:
    """Asks whoever serves the interface for what it serves with.

    Returns None where nobody does; the time (``time.monotonic``) at which it stopped answering
    where it had to be stopped; else the handed_over. Raises ControlError.
    """
    try:
        connection = connect(ifname)
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return None
        raise ControlError(f"{ifname}: control socket: {error.strerror}") from error
    if not peer(connection).trusted:
        connection.close()
        raise ControlError(f"{ifname}: the instance is another user's: use sudo")
    wire = Wire(connection)
    try:
        await wire.send({"verb": "takeover"})
        facts = await wire.receive(ANSWER_SECONDS)
        if facts is None or "error" in facts:
            reason = facts["error"] if facts else "it ended"
            raise ControlError(f"{ifname}: not taken over: {reason}: stop it, then start this one")
        try:
            return _handed_over(ifname, wire, facts)
        except XskError as error:
            reason = f"this kernel does not let go of its rings ({error})"
        except ValueError as error:
            reason = str(error)
        log.warning("%s is not taken over but restarted: %s", ifname, reason)
        return await _restart(ifname, wire)
    except BaseException:
        wire.close()
        raise


def _handed_over(ifname: str, wire: Wire, facts: Mapping[str, Any]) -> HandedOverState:
    """Sorts the descriptors. Raises XskError, or ValueError for another version's."""
    descriptors = wire.take_descriptors()
    try:
        if facts["layout"] != LAYOUT:
            raise ValueError(f"it hands over by layout {facts['layout']}, this version by {LAYOUT}")
        listener = socket.socket(fileno=descriptors.pop(0))
        handed_over = HandedOverState(ifname, wire, facts, listener, descriptors.pop(0))
        try:
            for queue in facts["queues"]:
                xsk_fd, umem_fd = descriptors.pop(0), descriptors.pop(0)
                handed_over.sockets[queue["number"]] = XskSocket.adopt(
                    xsk_fd,
                    umem_fd,
                    queue["number"],
                    queue["tx_metadata"],
                    queue["huge_pages"],
                )
            for where, keys in ((handed_over.udp, facts["udp"]), (handed_over.tcp, facts["tcp"])):
                for address, service, port in keys:
                    fd = descriptors.pop(0)
                    where[address, service, port] = socket.socket(fileno=fd)
        except XskError:
            listener.close()
            handed_over.drop()
            raise
    finally:
        for fd in descriptors:
            os.close(fd)
    return handed_over


async def _restart(ifname: str, wire: Wire) -> float:
    """Has the predecessor stop; it has cleaned up when its end of the connection closes."""
    ended = time.monotonic()
    await wire.send({"restart": True})
    if await wire.receive(END_SECONDS) is not None:
        raise ControlError(f"{ifname}: the running instance does not stop: end it, then start this")
    wire.close()
    return ended
