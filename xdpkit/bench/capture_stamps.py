"""``bench --capture``: whether the stamps of a capture agree with a client's, on veth.

The client reads its clock before it sends, and has the kernel's receive stamp of the reply; both
ends share the clock. What is between two stamps is the way from one end to the other.
"""

from __future__ import annotations

import socket
import statistics
import struct
import time
from typing import Any

from xdpkit.capture.client import Capture
from xdpkit.capture.wishes import Wishes
from xdpkit.lab.served import ServedLab

# linux asm-generic/socket.h.
_SO_TIMESTAMPNS = 35
_REQUESTS = 2000
_WITHIN_US = 100.0


def measure(served: ServedLab) -> dict[str, Any]:
    """Percentiles of both ways in us, and the share within 100 us."""
    lab = served.lab
    with lab.server.entered():
        capture = Capture(None, Wishes("service echo"))
    with capture:
        with lab.client.entered():
            ends = _ask(lab.server.ipv4)
        capture.finish()
        records = capture.reader.take(2 * _REQUESTS)
    there, back = [], []
    for record in records:
        sent, received = ends[record.request[record.payload :]]
        there.append((record.rx_ns - sent) / 1e3)
        back.append((received - record.tx_ns) / 1e3)
    return {
        "requests": _REQUESTS,
        "captured": len(records),
        "request_us": _percentiles(there),
        "reply_us": _percentiles(back),
        "within_100_us": _share(there + back),
    }


def _ask(address: str) -> dict[bytes, tuple[int, int]]:
    """Sends one request after the other; the client's two stamps of each, by payload."""
    ends = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        client.settimeout(5.0)
        client.connect((address, 7))
        for number in range(_REQUESTS):
            payload = b"stamps %08d" % number
            sent = time.time_ns()
            client.send(payload)
            data, [(_, _, stamp)], _, _ = client.recvmsg(64, 64)
            seconds, ns = struct.unpack("=qq", stamp)
            ends[data] = (sent, seconds * 10**9 + ns)
    return ends


def _percentiles(us: list[float]) -> dict[str, float]:
    if len(us) < 100:
        return {}
    cuts = statistics.quantiles(us, n=100)
    return {"min": min(us), "p50": cuts[49], "p99": cuts[98], "max": max(us)}


def _share(us: list[float]) -> float:
    return sum(0 <= each <= _WITHIN_US for each in us) / max(len(us), 1)
