"""A small NTP client: one exchange, checked, for the demo and for state from another server."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from dataclasses import dataclass

# RFC 5905 figure 8: flags, stratum, poll, precision, delay, dispersion, refid, four timestamps.
HEADER = struct.Struct("!BBbbII4s4Q")
CLIENT, SERVER = 3, 4
# Seconds from 1900 to 1970, RFC 5905 figure 4.
UNIX_EPOCH = 2_208_988_800


class NtpReplyError(ValueError):
    """The datagram is no answer to our request."""


@dataclass(frozen=True)
class Sample:
    """One exchange: the server's state; the clock offset and round trip it shows, in seconds."""

    leap: int
    stratum: int
    refid: bytes
    offset: float
    delay: float


def ask(address: str, port: int = 123, timeout: float = 2.0) -> Sample:
    """Asks a server once, from a fresh port with a random transmit timestamp (RFC 5905 section 8).

    Raises OSError (TimeoutError among them) and NtpReplyError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, port))
        # Random, as RFC 9109's reasoning goes: nobody can answer without having seen the request.
        mark = secrets.randbits(64)
        request = HEADER.pack(4 << 3 | CLIENT, 0, 0, 0, 0, 0, bytes(4), 0, 0, 0, mark)
        sent = time.time_ns()
        sock.send(request)
        data = sock.recv(2048)
        return read_reply(data, mark, sent, time.time_ns())


def read_reply(data: bytes, mark: int, sent_ns: int, received_ns: int) -> Sample:
    """Checks a reply (RFC 5905 section 8, tests 1 to 3 and 6) and computes offset and delay.

    Times are nanoseconds of UTC since 1970. Raises NtpReplyError.
    """
    if len(data) != HEADER.size:
        raise NtpReplyError(f"{len(data)} bytes instead of {HEADER.size}")
    flags, stratum, _, _, _, _, refid, _, origin, receive, transmit = HEADER.unpack(data)
    if flags & 7 != SERVER or flags >> 3 & 7 != 4:
        raise NtpReplyError("not a version 4 server's reply")
    if origin != mark:
        raise NtpReplyError("the origin timestamp is not our transmit timestamp")
    if not 1 <= stratum <= 15 or transmit == 0 or receive == 0:
        raise NtpReplyError("the server gives no time")
    t1, t4 = sent_ns / 1e9, received_ns / 1e9
    t2, t3 = (value / 2**32 - UNIX_EPOCH for value in (receive, transmit))
    return Sample(
        leap=flags >> 6,
        stratum=stratum,
        refid=refid,
        offset=((t2 - t1) + (t3 - t4)) / 2,
        delay=(t4 - t1) - (t3 - t2),
    )
