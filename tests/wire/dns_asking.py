"""Many DNS messages to one server by UDP or TCP, and for each its reply or its silence."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from payloads import query
from serving import PATIENCE
from tcp_client import TcpClient

from xdpkit.lab.namespaces import Lab

# The most messages in flight: below the 256 frames of veth's rings (drivers/net/veth.c).
MOST_OPEN = 100

# The same on a connection, where replies can have 64 KiB.
MOST_OPEN_TCP = 8

# The ID of a message after each batch that is answered: what has no reply by then gets none.
SENTINEL = 0xFFFF
ANSWERED = query("example", "SOA")


class UdpAsker:
    """A socket to a server; it sends on the queue chosen beforehand."""

    def __init__(self, lab: Lab, family: int, port: int = 53) -> None:
        with lab.client.entered():
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            self.socket = socket.socket(kind, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.settimeout(PATIENCE)
        # Connected: no other sender's datagrams, and ICMP errors are reported.
        self.socket.connect((lab.server.ipv4 if family == 4 else lab.server.ipv6, port))

    def replies(self, messages: Sequence[bytes]) -> list[bytes | None]:
        """The reply to each message, in order, with its ID; None for silence.

        Raises AssertionError for a duplicate or unsolicited reply.
        """
        found: list[bytes | None] = []
        for first in range(0, len(messages), MOST_OPEN):
            found += self._batch(messages[first : first + MOST_OPEN])
        return found

    def _batch(self, messages: Sequence[bytes]) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(messages)
        for number, message in enumerate(messages):
            self.socket.send(number.to_bytes(2, "big") + message[2:])
        # Queues and sockets preserve order.
        self.socket.send(SENTINEL.to_bytes(2, "big") + ANSWERED[2:])
        while (number := int.from_bytes((reply := self.socket.recv(65535))[:2], "big")) != SENTINEL:
            assert number < len(messages) and found[number] is None, reply.hex()
            found[number] = messages[number][:2] + reply[2:]
        return found


@contextmanager
def udp_asker(lab: Lab, family: int) -> Iterator[UdpAsker]:
    """A UdpAsker for a block; its socket must be empty at the end."""
    asker = UdpAsker(lab, family)
    with asker.socket:
        yield asker
        asker.socket.setblocking(False)
        try:
            stray = asker.socket.recv(65535)
        except BlockingIOError:
            return
        raise AssertionError(f"a reply to nothing: {stray.hex()}")


def tcp_replies(client: TcpClient, messages: Sequence[bytes]) -> list[bytes]:
    """The reply to each message; every message must be one that is answered."""
    found = []
    for first in range(0, len(messages), MOST_OPEN_TCP):
        found += client.ask(*messages[first : first + MOST_OPEN_TCP])
    return found
