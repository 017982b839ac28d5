"""The connection over which a running instance hands over: lines of JSON, and descriptors."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from xdpkit._core._stats import CHUNK, META_BYTES
from xdpkit._core._thread_state import TX_METADATA_BYTES
from xdpkit._core._xsk import FRAMES
from xdpkit.errors import ControlError
from xdpkit.runtime.stream import send_all

# Of the facts that are handed over: another one with each change of them.
_VERSION = 2

# Both must read alike what is handed over, and what lies in frames that are on their way meanwhile.
LAYOUT = [_VERSION, FRAMES, CHUNK, META_BYTES, TX_METADATA_BYTES]

# SCM_MAX_FD of linux/net/scm.h is 253: descriptors in one message.
_PER_MESSAGE = 250
_LINE_LIMIT = 1 << 20


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
