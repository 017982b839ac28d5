"""A scripted DNS-over-TCP client, for tests of how a server handles connections."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Self

# Far longer than any answer takes: a limit for a stalled machine.
PATIENCE = 30.0


def framed(*messages: bytes) -> bytes:
    """Messages as sent over a connection, each after its length."""
    return b"".join(struct.pack("!H", len(message)) + message for message in messages)


class TcpClient:
    """A connection; ``receive_buffer`` limits what the kernel accepts before it is read."""

    def __init__(
        self, server: tuple[str, int], source: str = "", receive_buffer: int | None = None
    ) -> None:
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.socket.bind((source, 0))
            self.socket.connect(server)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *messages: bytes) -> None:
        self.socket.sendall(framed(*messages))

    def exactly(self, length: int) -> bytes:
        """Reads ``length`` bytes; fewer only at the end of the connection."""
        received = bytearray()
        while len(received) < length:
            part = self.socket.recv(min(length - len(received), 1 << 16))
            if not part:
                break
            received += part
        return bytes(received)

    def receive(self) -> bytes:
        """The next message without its length; b"" at the end of the connection."""
        prefix = self.exactly(2)
        if not prefix:
            return b""
        [length] = struct.unpack("!H", prefix)
        message = self.exactly(length)
        assert len(message) == length, "the connection ended within a message"
        return message

    def ask(self, *queries: bytes) -> list[bytes]:
        """Sends all queries, then reads as many answers."""
        self.send(*queries)
        return [self.receive() for _ in queries]

    def rest(self) -> list[bytes]:
        """All messages up to the end of the connection."""
        messages = []
        while message := self.receive():
            messages.append(message)
        return messages

    def ended(self) -> bool:
        """Waits for a close or a reset; True unless a message comes."""
        try:
            return self.receive() == b""
        except ConnectionResetError:
            return True


def numbered(query: bytes, numbers: Iterable[int]) -> list[bytes]:
    """The query with other IDs."""
    return [struct.pack("!H", number & 0xFFFF) + query[2:] for number in numbers]
