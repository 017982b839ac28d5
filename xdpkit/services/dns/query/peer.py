"""Another server, asked over UDP: bounded waits, bounded questions in flight.

What comes back is nobody's to trust: only replies from its address and port, with the ID and the
question of one that is in flight, count; anything else is as if it had not come.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from contextlib import suppress

import dns.exception
import dns.flags
import dns.message

from xdpkit.config.address import SocketAddress

# Questions that wait for their answers, and for how long.
IN_FLIGHT = 16
SECONDS = 2.0

# Of a server that has not answered so many questions in a row, no more are asked.
SILENT = 2 * IN_FLIGHT

# What one look at the socket reads: a server that floods us gets no more of our time than that.
_READS = 4 * IN_FLIGHT
# More than we ask for.
_BYTES = 4096


class Peer:
    """Asks one server; not to be used from several threads."""

    def __init__(self, address: SocketAddress, seconds: float = SECONDS) -> None:
        """Raises OSError if there is no way to such an address."""
        self._seconds = seconds
        family = socket.AF_INET if address.address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect((str(address.address), address.port))
        except OSError:
            self._socket.close()
            raise
        self.source: str = self._socket.getsockname()[0]
        """Where our questions come from."""
        self._unanswered = 0

    @property
    def is_silent(self) -> bool:
        """Whether it has answered none of its last questions."""
        return self._unanswered >= SILENT

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()

    def ask(self, request: bytes, times: int) -> list[dns.message.Message]:
        """The replies to a question that is asked so many times: fewer if some do not come.

        Ends after as many seconds as ``times`` questions of ``IN_FLIGHT`` at once may wait.
        """
        question = dns.message.from_wire(request).question
        waiting: dict[int, float] = {}
        replies: list[dns.message.Message] = []
        left = times
        while (left or waiting) and not self.is_silent:
            while left and len(waiting) < IN_FLIGHT:
                self._send(request, waiting)
                left -= 1
            due = min(waiting.values())
            select.select([self._socket], [], [], max(0.0, due - time.monotonic()))
            for reply in self._received():
                if reply.question == question and waiting.pop(reply.id, None) is not None:
                    replies.append(reply)
                    self._unanswered = 0
            now = time.monotonic()
            for number in [number for number, due in waiting.items() if due <= now]:
                del waiting[number]
                self._unanswered += 1
        return replies

    def _send(self, request: bytes, waiting: dict[int, float]) -> None:
        number = secrets.randbelow(1 << 16)
        while number in waiting:
            number = secrets.randbelow(1 << 16)
        # Refused, or no room: as good as lost.
        with suppress(OSError):
            self._socket.send(number.to_bytes(2, "big") + request[2:])
        waiting[number] = time.monotonic() + self._seconds

    def _received(self) -> list[dns.message.Message]:
        found = []
        for _ in range(_READS):
            try:
                data = self._socket.recv(_BYTES)
            except BlockingIOError:
                break
            except OSError:
                # ICMP: nobody listens there.
                continue
            try:
                message = dns.message.from_wire(data, ignore_trailing=True)
            except (dns.exception.DNSException, ValueError):
                continue
            if message.flags & dns.flags.QR:
                found.append(message)
        return found
