"""Another server, asked over UDP, and over TCP what UDP has no room for; every wait is bounded.

What comes back is nobody's to trust: only replies from its address and port, with the ID and the
question of one that is in flight, count; anything else is as if it had not come.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from contextlib import closing, suppress

import dns.exception
import dns.flags
import dns.message

from xdpkit.config.address import SocketAddress

# Questions that wait for their answers, and for how long.
IN_FLIGHT = 16
SECONDS = 2.0

# Of a server that has not answered so many questions in a row, no more are asked.
SILENT = 2 * IN_FLIGHT

# An answer may find its connection closed: a server may do so after some questions.
_TRIES = 2

# Where nothing came over TCP so often in a row, no more is asked there.
_SILENT_TCP = 3

# What one look at the socket reads: a server that floods us gets no more of our time than that.
_READS = 4 * IN_FLIGHT
# More than we ask for.
_BYTES = 4096


class Peer:
    """Asks one server; not to be used from several threads."""

    def __init__(self, address: SocketAddress, seconds: float = SECONDS) -> None:
        """Raises OSError if there is no way to such an address."""
        self._address, self._seconds = (str(address.address), address.port), seconds
        family = socket.AF_INET if address.address.version == 4 else socket.AF_INET6
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._socket.connect((str(address.address), address.port))
        except OSError:
            self._socket.close()
            raise
        self.source: str = self._socket.getsockname()[0]
        """Where our questions come from."""
        self._unanswered = self._unanswered_tcp = 0

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

    def ask_over_tcp(self, request: bytes, times: int) -> list[dns.message.Message]:
        """The same over TCP, one question after another, until one is not answered."""
        replies: list[dns.message.Message] = []
        if self._unanswered_tcp >= _SILENT_TCP:
            return replies
        connection = _Connection(self._address, self.source, self._seconds)
        with closing(connection):
            for _ in range(times):
                reply = connection.ask(request)
                if reply is None:
                    break
                replies.append(reply)
        self._unanswered_tcp = 0 if replies else self._unanswered_tcp + 1
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


class _Connection:
    """Questions over TCP (RFC 7766), one at a time, each within so many seconds."""

    def __init__(self, address: tuple[str, int], source: str, seconds: float) -> None:
        self._address, self._source, self._seconds = address, source, seconds
        self._socket: socket.socket | None = None

    def close(self) -> None:
        """Closes it, if it is open."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def ask(self, request: bytes) -> dns.message.Message | None:
        """The reply; None without one. A connection that the server has closed is made again."""
        until = time.monotonic() + self._seconds
        for _ in range(_TRIES):
            is_new = self._socket is None
            try:
                if self._socket is None:
                    self._socket = socket.create_connection(
                        self._address, self._seconds, (self._source, 0)
                    )
                return _exchange(self._socket, request, until)
            except (OSError, dns.exception.DNSException, ValueError):
                self.close()
                if is_new:
                    break
        return None


def _exchange(connection: socket.socket, request: bytes, until: float) -> dns.message.Message:
    """Asks, and reads the reply. Raises OSError, DNSException, ValueError for another one."""
    number = secrets.token_bytes(2)
    connection.settimeout(max(0.001, until - time.monotonic()))
    connection.sendall(len(request).to_bytes(2, "big") + number + request[2:])
    size = int.from_bytes(_read(connection, 2, until), "big")
    message = dns.message.from_wire(_read(connection, size, until))
    if not message.flags & dns.flags.QR or message.id != int.from_bytes(number, "big"):
        raise ValueError("not the reply")
    if message.question != dns.message.from_wire(request).question:
        raise ValueError("another question's reply")
    return message


def _read(connection: socket.socket, size: int, until: float) -> bytes:
    """So many bytes. Raises OSError when the time is over, or the connection."""
    data = b""
    while len(data) < size:
        connection.settimeout(max(0.001, until - time.monotonic()))
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data
