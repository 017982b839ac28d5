"""A small NTP client: one validated exchange, for the demo and for the mirrored daemon."""

from __future__ import annotations

import secrets
import socket
import struct
import time
from dataclasses import dataclass

from xdpkit.services.ntp.state import LEAP_UNKNOWN

# RFC 5905 figure 8: flags, stratum, poll, precision, delay, dispersion, refid, four timestamps.
HEADER = struct.Struct("!BBbbII4s4Q")
CLIENT, SERVER = 3, 4
# Seconds from 1900 to 1970, RFC 5905 figure 4.
UNIX_EPOCH = 2_208_988_800


class NtpReplyError(ValueError):
    """The datagram does not answer our request or gives no time; ``reason`` is one word."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True)
class Reply:
    """The fields of a valid reply: NTP short format, refid as received, 32.32 timestamps."""

    leap: int
    stratum: int
    precision: int
    root_delay: int
    root_dispersion: int
    refid: bytes
    reference: int
    receive: int
    transmit: int


@dataclass(frozen=True)
class Sample:
    """One exchange: the server's state, the clock offset and the round-trip delay in seconds."""

    leap: int
    stratum: int
    refid: bytes
    offset: float
    delay: float


def ask(address: str, port: int = 123, timeout: float = 2.0) -> Sample:
    """Queries a server once, from a new port with a random transmit timestamp (RFC 5905, 8).

    Raises OSError (TimeoutError among them) and NtpReplyError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect((address, port))
        mark = secrets.randbits(64)
        sent = time.time_ns()
        sock.send(request(mark))
        data = sock.recv(2048)
        return sample(data, mark, sent, time.time_ns())


def request(mark: int) -> bytes:
    """A version 4 request that reveals nothing of this clock; its transmit timestamp is ``mark``.

    It should be random, by the reasoning of RFC 9109: nobody can answer without having seen it.
    """
    return HEADER.pack(4 << 3 | CLIENT, 0, 0, 0, 0, 0, bytes(4), 0, 0, 0, mark)


def read_reply(data: bytes, mark: int) -> Reply:
    """Checks a reply to ``request(mark)``: RFC 5905 section 8, packet tests 2, 3 and 6.

    Raises NtpReplyError if it is not to our request or its sender is not synchronized.
    """
    if len(data) != HEADER.size:
        raise NtpReplyError("length", f"{len(data)} bytes instead of {HEADER.size}")
    first, stratum, _, precision, delay, dispersion, refid, *times = HEADER.unpack(data)
    reference, origin, receive, transmit = times
    if first >> 3 & 7 != 4:
        raise NtpReplyError("version", "not version 4")
    if first & 7 != SERVER:
        raise NtpReplyError("mode", "not a server reply")
    if origin != mark:
        raise NtpReplyError("origin", "the origin timestamp is not our transmit timestamp")
    if first >> 6 == LEAP_UNKNOWN:
        raise NtpReplyError("unsynchronised", "the server is not synchronized")
    if not 1 <= stratum <= 15:
        raise NtpReplyError("stratum", f"stratum {stratum}: the server gives no time")
    if transmit == 0 or receive == 0:
        raise NtpReplyError("timestamp", "the server gives no time")
    return Reply(
        leap=first >> 6,
        stratum=stratum,
        precision=precision,
        root_delay=delay,
        root_dispersion=dispersion,
        refid=refid,
        reference=reference,
        receive=receive,
        transmit=transmit,
    )


def sample(data: bytes, mark: int, sent_ns: int, received_ns: int) -> Sample:
    """Checks a reply and computes offset and delay (RFC 5905 section 8).

    Times are UTC nanoseconds since 1970. Raises NtpReplyError.
    """
    reply = read_reply(data, mark)
    t1, t4 = sent_ns / 1e9, received_ns / 1e9
    t2, t3 = (value / 2**32 - UNIX_EPOCH for value in (reply.receive, reply.transmit))
    return Sample(
        leap=reply.leap,
        stratum=reply.stratum,
        refid=reply.refid,
        offset=((t2 - t1) + (t3 - t4)) / 2,
        delay=(t4 - t1) - (t3 - t2),
    )


def timestamp(utc_ns: int) -> int:
    """UTC nanoseconds since 1970 as a 32.32 NTP timestamp without era, rounded down."""
    return (utc_ns // 10**9 + UNIX_EPOCH) % 2**32 << 32 | (utc_ns % 10**9 << 32) // 10**9


def distance_outside(reply: Reply, sent_ns: int, received_ns: int) -> int:
    """How far the server's two timestamps lie outside our exchange with it, in units of 2^-32 s.

    0 for a server that reads the same clock. Times are UTC nanoseconds.
    """
    early = _difference(timestamp(sent_ns), reply.receive)
    late = _difference(reply.transmit, timestamp(received_ns))
    return max(0, early, late)


def _difference(one: int, other: int) -> int:
    """Difference of two timestamps less than half an era (68 years) apart (RFC 5905 section 6)."""
    return (one - other + 2**63) % 2**64 - 2**63
