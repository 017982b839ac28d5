"""``bench --ntp``: the offset that one client with an ordinary socket measures on an idle server.

Both share one clock, so the true offset is 0.
"""

from __future__ import annotations

import secrets
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from xdpkit.bench import cpu, testbed
from xdpkit.bench.ntp_rates import PLAIN, server_for
from xdpkit.runtime.closing import Closing
from xdpkit.services.ntp.client import CLIENT, HEADER, UNIX_EPOCH, NtpReplyError, Sample, ask

EXCHANGES = 20
# Between two exchanges, seconds: caches are cold again.
PAUSE = 0.02
REPLY_SECONDS = 2.0
# Upper bound for the best exchange, microseconds.
BOUND_US = 100.0

Say = Callable[[str], None]


def measure(say: Say, exchanges: int = EXCHANGES) -> dict[str, Any]:
    """Offsets, in microseconds, from basic and from interleaved exchanges."""
    say("offset of an idle server")
    server = testbed.own_server(server_for(PLAIN), cpu.split()[1], [PLAIN.name])
    with server as [entry], cpu.pinned(cpu.split()[0]):
        assert entry.served is not None  # it is ours
        lab = entry.served.lab
        with lab.client.entered():
            basic = [after_pause(lambda: ask(lab.server.ipv4)) for _ in range(exchanges)]
            with Follower(lab.server.ipv4) as follower:
                interleaved = [after_pause(follower.exchange) for _ in range(exchanges)]
    return {
        "exchanges": exchanges,
        "bound_us": BOUND_US,
        "basic": summary(basic),
        "interleaved": summary(interleaved),
    }


def after_pause(exchange: Callable[[], Sample]) -> Sample:
    """One exchange, after a pause."""
    time.sleep(PAUSE)
    return exchange()


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """The offset of the exchange with the least delay, as in a clock filter, and the median."""
    best = min(samples, key=lambda sample: sample.delay)
    return {
        "best_offset_us": best.offset * 1e6,
        "best_delay_us": best.delay * 1e6,
        "median_offset_us": statistics.median(sample.offset for sample in samples) * 1e6,
    }


class Follower(Closing):
    """A client in interleaved mode (RFC 9769): a reply tells when the one before it left.

    Create it in the network namespace that it queries from. A context manager. Raises OSError
    and NtpReplyError.
    """

    def __init__(self, address: str, port: int = 123) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(REPLY_SECONDS)
        self._socket.connect((address, port))
        # The last exchange: when its request left and its reply arrived (UTC, ns), and the
        # server's receive timestamp in that reply, which identifies it.
        self._sent = self._arrived = self._receive = 0
        # The server saves timestamps only for who has sent one back: the second reply is basic too.
        self._ask()
        self._ask()

    def exchange(self) -> Sample:
        """Sends one more request, and computes the offset of the exchange before it."""
        t1, t4, t2 = self._sent / 1e9, self._arrived / 1e9, seconds(self._receive)
        flags, stratum, refid, transmit = self._ask(interleaved=True)
        t3 = seconds(transmit)
        return Sample(
            leap=flags >> 6,
            stratum=stratum,
            refid=refid,
            offset=((t2 - t1) + (t3 - t4)) / 2,
            delay=(t4 - t1) - (t3 - t2),
        )

    def _ask(self, interleaved: bool = False) -> tuple[int, int, bytes, int]:
        """(flags, stratum, reference ID, transmit timestamp) of a reply in the expected mode."""
        basic, follows = secrets.randbits(64), secrets.randbits(64)
        times = (0, self._receive, follows if self._receive else 0, basic)
        request = HEADER.pack(4 << 3 | CLIENT, 0, 0, 0, 0, 0, bytes(4), *times)
        self._sent = time.time_ns()
        self._socket.send(request)
        data = self._socket.recv(2048)
        self._arrived = time.time_ns()
        if len(data) != HEADER.size:
            raise NtpReplyError("length", f"{len(data)} bytes instead of {HEADER.size}")
        flags, stratum, _, _, _, _, refid, _, origin, self._receive, transmit = HEADER.unpack(data)
        if origin != (follows if interleaved else basic):
            raise NtpReplyError("origin", "the reply is not in the expected mode")
        return flags, stratum, refid, transmit

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


def seconds(timestamp: int) -> float:
    """Seconds of UTC since 1970, in this NTP era."""
    return timestamp / 2**32 - UNIX_EPOCH
