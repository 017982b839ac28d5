"""``bench --ntp``: the offset that one client with an ordinary socket sees of an idle server.

Both have one clock, so that the true offset is 0.
"""

from __future__ import annotations

import secrets
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from xdpkit.bench import cpu
from xdpkit.bench import testbed as stand
from xdpkit.bench.ntp_rates import PLAIN, own
from xdpkit.runtime.closing import Closing
from xdpkit.services.ntp.client import CLIENT, HEADER, UNIX_EPOCH, NtpReplyError, Sample, ask

EXCHANGES = 20
# Between two exchanges, seconds: nothing is warm from the one before.
PAUSE = 0.02
REPLY_SECONDS = 2.0
# What the best of the exchanges must stay below, microseconds.
BOUND_US = 100.0

Say = Callable[[str], None]


def measure(say: Say, exchanges: int = EXCHANGES) -> dict[str, Any]:
    """Offsets in microseconds by basic and by interleaved exchanges."""
    say("offset of an idle server")
    with stand.own(own(PLAIN), cpu.split()[1], [PLAIN.name]) as [entry], cpu.pinned(cpu.split()[0]):
        assert entry.served is not None  # it is ours
        lab = entry.served.lab
        with lab.client.entered():
            basic = [paused(lambda: ask(lab.server.ipv4)) for _ in range(exchanges)]
            with Follower(lab.server.ipv4) as follower:
                interleaved = [paused(follower.exchange) for _ in range(exchanges)]
    return {
        "exchanges": exchanges,
        "bound_us": BOUND_US,
        "basic": summary(basic),
        "interleaved": summary(interleaved),
    }


def paused(exchange: Callable[[], Sample]) -> Sample:
    """One exchange, after a pause."""
    time.sleep(PAUSE)
    return exchange()


def summary(samples: Sequence[Sample]) -> dict[str, float]:
    """The offset of the shortest exchange, as a client's clock filter takes it, and the median."""
    best = min(samples, key=lambda sample: sample.delay)
    return {
        "best_offset_us": best.offset * 1e6,
        "best_delay_us": best.delay * 1e6,
        "median_offset_us": statistics.median(sample.offset for sample in samples) * 1e6,
    }


class Follower(Closing):
    """One client of the interleaved mode (RFC 9769): a reply tells when the one before it left.

    Made in the network namespace that it asks from. A context manager. Raises OSError and
    NtpReplyError.
    """

    def __init__(self, address: str, port: int = 123) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(REPLY_SECONDS)
        self._socket.connect((address, port))
        # Of the last exchange: when its request left and its reply came (ns of UTC), and the
        # server's receive timestamp in that, which names it.
        self._sent = self._came = self._name = 0
        # The server remembers only who has sent such a name back: the second reply is basic too.
        self._ask()
        self._ask()

    def exchange(self) -> Sample:
        """Asks once more, and computes the offset of the exchange before that."""
        t1, t4, t2 = self._sent / 1e9, self._came / 1e9, seconds(self._name)
        flags, stratum, refid, departure = self._ask(interleaved=True)
        t3 = seconds(departure)
        return Sample(
            leap=flags >> 6,
            stratum=stratum,
            refid=refid,
            offset=((t2 - t1) + (t3 - t4)) / 2,
            delay=(t4 - t1) - (t3 - t2),
        )

    def _ask(self, interleaved: bool = False) -> tuple[int, int, bytes, int]:
        """(flags, stratum, reference id, transmit timestamp) of a reply in the expected mode."""
        basic, follows = secrets.randbits(64), secrets.randbits(64)
        times = (0, self._name, follows if self._name else 0, basic)
        request = HEADER.pack(4 << 3 | CLIENT, 0, 0, 0, 0, 0, bytes(4), *times)
        self._sent = time.time_ns()
        self._socket.send(request)
        data = self._socket.recv(2048)
        self._came = time.time_ns()
        if len(data) != HEADER.size:
            raise NtpReplyError("length", f"{len(data)} bytes instead of {HEADER.size}")
        flags, stratum, _, _, _, _, refid, _, origin, self._name, transmit = HEADER.unpack(data)
        if origin != (follows if interleaved else basic):
            raise NtpReplyError("origin", "the reply is not in the expected mode")
        return flags, stratum, refid, transmit

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


def seconds(timestamp: int) -> float:
    """Seconds of UTC since 1970, of this NTP era."""
    return timestamp / 2**32 - UNIX_EPOCH
