"""Who owns the rings during a handover: whoever has read the one byte that is in a pipe.

There must never be two loops on one ring, and neither process may wait for the other without end.
The kernel gives the byte to one reader only, however long the other has been stopped:

    in the pipe   the predecessor                       the successor reads
    nothing       runs its loops, or parks them         nothing yet, and waits
    RINGS         has parked them, and may read it back RINGS: they are its own
    KEPT          has kept or taken back the rings      KEPT: it must not touch them
    end of file   has exited, and so have its loops     the end: they are its own
"""

from __future__ import annotations

import os
from enum import Enum

import anyio

from xdpkit.errors import ControlError
from xdpkit.runtime.closing import Closing

_RINGS = b"r"
_KEPT = b"k"


class RingsOffer(Closing):
    """The predecessor's side: the pipe, whose ``receiver`` is handed over."""

    def __init__(self) -> None:
        self.receiver, self._sender = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._offered = False

    def offer(self) -> None:
        """The loops are parked: whoever reads the byte owns the rings."""
        self._offered = True
        os.write(self._sender, _RINGS)

    def take_back(self) -> bool:
        """Whether the rings are the predecessor's, and stay so."""
        if self._offered:
            try:
                self._offered = os.read(self.receiver, 1) != _RINGS
            except BlockingIOError:
                return False
        return not self._offered

    def close(self) -> None:
        """Says that the rings were kept, unless the successor has them; may be called twice."""
        if self._sender < 0:
            return
        if self.take_back():
            os.write(self._sender, _KEPT)
        os.close(self.receiver)
        os.close(self._sender)
        self.receiver = self._sender = -1


class Answer(Enum):
    """What the successor has read."""

    OURS = "the rings are ours"
    KEPT = "the predecessor keeps them"


async def take_rings(receiver: int, seconds: float) -> Answer:
    """The successor's side: waits for the byte, and takes it.

    Raises ControlError after ``seconds``; a predecessor that wakes up then keeps the rings.
    """
    with anyio.move_on_after(seconds):
        while True:
            await anyio.wait_readable(receiver)
            try:
                byte = os.read(receiver, 1)
            except BlockingIOError:
                # The predecessor has read it back, and says KEPT next.
                continue
            return Answer.KEPT if byte == _KEPT else Answer.OURS
    raise ControlError("the running instance does not park its loops")
