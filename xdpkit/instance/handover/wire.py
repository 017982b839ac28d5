"""The connection for a handover: lines of JSON, and descriptors."""

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

# Of the handed-over facts: increases with every change.
_VERSION = 2

# Both must agree on the handed-over facts, and on the contents of frames in flight.
LAYOUT = [_VERSION, FRAMES, CHUNK, META_BYTES, TX_METADATA_BYTES]

# Descriptors: SCM_MAX_FD of linux/net/scm.h is 253.
_PER_MESSAGE = 250
_LINE_LIMIT = 1 << 20


class Wire:
    """Sends and receives lines of JSON, and descriptors, over a control socket connection."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._received = bytearray()
        self._descriptors: list[int] = []

    async def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends a line; a closed peer is no error. The caller keeps ``descriptors``."""
        facts = {**message, "descriptors": len(descriptors)}
        await send_all(self._connection, json.dumps(facts).encode() + b"\n")
        for first in range(0, len(descriptors), _PER_MESSAGE):
            await anyio.wait_writable(self._connection)
            # Carried by a space before the next line.
            socket.send_fds(self._connection, [b" "], descriptors[first : first + _PER_MESSAGE])

    async def receive(self, seconds: float | None) -> dict[str, Any] | None:
        """The next line, after keeping its descriptors; None if the peer has closed.

        Raises ControlError after ``seconds``, and for a malformed line.
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
                    raise ControlError("the other instance sends malformed messages")
            return message
        raise ControlError("the other instance does not answer")

    def _message(self) -> dict[str, Any] | None:
        """The next line, if it has arrived with all of its descriptors."""
        line, end, rest = self._received.partition(b"\n")
        if not end:
            return None
        try:
            message: dict[str, Any] = json.loads(line)
            missing = message.pop("descriptors", 0) > len(self._descriptors)
        except (ValueError, AttributeError, TypeError) as error:
            raise ControlError("the other instance sends malformed messages") from error
        if missing:
            return None
        self._received = rest
        return message

    def take_descriptors(self) -> list[int]:
        """Those received so far; the caller owns them."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def close(self) -> None:
        self._connection.close()
        for fd in self.take_descriptors():
            os.close(fd)
