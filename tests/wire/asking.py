"""Many NTP requests to one server, and for each its answer or the certainty that there is none.

A batch of requests is followed by a sentinel that every server answers. All take the same path, and
queues and sockets preserve order: once the sentinel's answer is here, a missing answer means that
the request was dropped. No timeout is needed.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Iterator, Sequence

from ntp_requests import NTP_PORT, Request
from serving import PATIENCE

from xdpkit.lab.namespaces import Side

ORIGIN = slice(24, 32)

# The most requests in flight: below the 256 frames of veth's rings and a socket's default buffer,
# whatever the length of the frames (linux drivers/net/veth.c, net.core.rmem_default).
MOST_OPEN = 64
MOST_BYTES = 32 << 10

# First word of a sentinel's transmit timestamp: a second that no other request made here has.
SENTINEL = 0x5E471E1

serials = itertools.count(1)


class Asker:
    """One client's two sockets to a server: one on an ephemeral port, one on port 123.

    A context manager. The sockets send on the queue chosen when this object was created.
    """

    def __init__(self, side: Side, address: str, port: int = NTP_PORT) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sockets: dict[int, socket.socket] = {}
        for source_port in (0, NTP_PORT):
            with side.entered():
                sock = socket.socket(family, socket.SOCK_DGRAM)
            self.sockets[source_port] = sock
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.settimeout(PATIENCE)
            sock.bind(("", source_port))
            # Connected: no other sender's datagrams, and ICMP errors are reported.
            sock.connect((address, port))

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sock in self.sockets.values():
            sock.close()

    def answers(self, requests: Sequence[Request]) -> list[bytes | None]:
        """The answer to each, in order; None for silence.

        Raises AssertionError for a datagram that answers no request in flight, or a duplicate.
        """
        answers: list[bytes | None] = [None] * len(requests)
        for source_port, sock in self.sockets.items():
            numbers = [n for n, r in enumerate(requests) if r.source_port == source_port]
            for batch in batches(requests, numbers):
                self._ask(sock, requests, batch, answers)
        return answers

    def _ask(
        self,
        sock: socket.socket,
        requests: Sequence[Request],
        batch: dict[bytes, int],
        answers: list[bytes | None],
    ) -> None:
        """Sends a batch and a sentinel; collects what arrives before the sentinel's answer."""
        last = struct.pack("!II", SENTINEL, next(serials))
        for number in batch.values():
            sock.send(requests[number].payload)
        sock.send(b"\x23" + bytes(39) + last)
        waiting = dict(batch)
        while (token := (answer := sock.recv(4096))[ORIGIN]) != last:
            number = waiting.pop(token, None)
            assert number is not None, f"a duplicate or unsolicited answer: {answer.hex()}"
            answers[number] = answer

    def assert_quiet(self) -> None:
        """Checks that nothing unsolicited arrived."""
        for sock in self.sockets.values():
            sock.setblocking(False)
            try:
                stray = sock.recv(4096)
            except BlockingIOError:
                continue
            finally:
                sock.settimeout(PATIENCE)
            raise AssertionError(f"an answer to nothing: {stray.hex()}")


def batches(requests: Sequence[Request], numbers: Sequence[int]) -> Iterator[dict[bytes, int]]:
    """Batches of requests, as token to number: without duplicate tokens, and not too many."""
    batch: dict[bytes, int] = {}
    size = 0
    for number in numbers:
        request = requests[number]
        # A request too short for a token is never answered: any unused key will do.
        token = request.token or b"short %d" % number
        if token in batch or len(batch) == MOST_OPEN or size > MOST_BYTES:
            yield batch
            batch, size = {}, 0
        batch[token] = number
        size += len(request.payload)
    if batch:
        yield batch
