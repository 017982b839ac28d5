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
_VERSION = 4

# Both must agree on the handed-over facts, and on the contents of frames in flight.
LAYOUT = [_VERSION, FRAMES, CHUNK, META_BYTES, TX_METADATA_BYTES]

# Descriptors: SCM_MAX_FD of linux/net/scm.h is 253.
_PER_MESSAGE = 250
_LINE_LIMIT = 1 << 20

# A peer that reads takes a line and all descriptors within milliseconds.
_SEND_SECONDS = 5.0


class Wire:
    """Sends and receives lines of JSON, and descriptors, over a control socket connection.

    It accepts up to ``most_descriptors``, and never believes that a peer sends what it says.
    """

    def __init__(self, connection: socket.socket, most_descriptors: int = 0) -> None:
        connection.setblocking(False)
        self.connection = connection
        self._most_descriptors = most_descriptors
        self._received = bytearray()
        self.descriptors: list[int] = []
        """Received, and not taken yet: closed with the connection."""

    async def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Sends a line; a closed peer is no error. The caller keeps ``descriptors``.

        Raises ControlError for a peer that does not read, or descriptors that cannot be sent.
        """
        facts = {**message, "descriptors": len(descriptors)}
        with anyio.move_on_after(_SEND_SECONDS):
            await send_all(self.connection, json.dumps(facts).encode() + b"\n")
            for first in range(0, len(descriptors), _PER_MESSAGE):
                await self._send_descriptors(descriptors[first : first + _PER_MESSAGE])
            return
        raise ControlError("the other instance does not read")

    async def _send_descriptors(self, descriptors: Sequence[int]) -> None:
        """Carried by a space before the next line."""
        while True:
            await anyio.wait_writable(self.connection)
            try:
                socket.send_fds(self.connection, [b" "], descriptors)
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                pass
            except OSError as error:
                raise ControlError(
                    f"{len(descriptors)} descriptors cannot be sent ({error.strerror})"
                ) from error
            return

    async def receive(self, seconds: float | None) -> dict[str, Any] | None:
        """The next line, after keeping its descriptors; None if the peer has closed.

        Raises ControlError after ``seconds``, and for a malformed line.
        """
        with anyio.move_on_after(seconds):
            while (message := self._message()) is None:
                await anyio.wait_readable(self.connection)
                if not self._read():
                    return None
            return message
        # A process that was stopped may find a message and the end of its time at once.
        if not self._read():
            return None
        if message := self._message():
            return message
        raise ControlError("the other instance does not answer")

    def _read(self) -> bool:
        """Takes what has arrived; returns whether the connection is still open."""
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self.connection,
                1 << 16,
                # The kernel closes those that there is no room for.
                min(_PER_MESSAGE, self._most_descriptors - len(self.descriptors)),
                socket.MSG_CMSG_CLOEXEC,
            )
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.descriptors += descriptors
        self._received += data
        if len(self._received) > _LINE_LIMIT:
            raise ControlError("the other instance sends malformed messages")
        return bool(data)

    def _message(self) -> dict[str, Any] | None:
        """The next line, if it has arrived with all of its descriptors."""
        line, end, rest = self._received.partition(b"\n")
        if not end:
            return None
        try:
            message: dict[str, Any] = json.loads(line)
            missing = message.pop("descriptors", 0) > len(self.descriptors)
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise ControlError("the other instance sends malformed messages") from error
        if missing:
            return None
        self._received = rest
        return message

    def take_descriptors(self) -> list[int]:
        """Those received so far; the caller owns them."""
        taken, self.descriptors = self.descriptors, []
        return taken

    def close(self) -> None:
        self.connection.close()
        for fd in self.take_descriptors():
            os.close(fd)
