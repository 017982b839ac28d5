"""A line for each packet, for people.

Names come from clients: in a line they are in the form of master files (RFC 1035 section 5.1), with
everything that is not a printable character of ASCII as \\DDD, so that nobody can write terminal
codes, quotes or line ends into it.
"""

from __future__ import annotations

import ipaddress
import time

import dns.rcode
import dns.rdatatype

from xdpkit._core._capture import TCP_THREAD, UDP_THREAD, Record
from xdpkit._core._stats import SERVICES, VERDICT_FIRST, VERDICTS

_NAMES = {number: name for name, number in SERVICES.items()}
_HEADER = 12
# What a name in a master file cannot have as itself, and what a shell or JSON takes for more.
_ESCAPED = frozenset(b".\\\"'`$;()@")


def line(record: Record) -> str:
    """One packet, and what became of it."""
    outcome = record.outcome - VERDICT_FIRST
    verdict = VERDICTS[outcome].name if 0 <= outcome < len(VERDICTS) else str(record.outcome)
    payload = record.request[record.payload :]
    parts = [_time(record.rx_ns), _thread(record.thread), _NAMES.get(record.service, "-")]
    parts += [_client(record), *_question(record, payload), verdict]
    if record.reply:
        parts += [*_rcode(record), f"{len(record.request)}/{len(record.reply)} bytes"]
        parts += [f"{max(0, record.tx_ns - record.rx_ns) / 1000:.1f} us"]
    else:
        parts += ["dropped", f"{len(record.request)} bytes"]
    return " ".join(parts)


def _time(ns: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(ns // 10**9)) + f".{ns % 10**9:09}"


def _thread(thread: int) -> str:
    return {UDP_THREAD: "udp", TCP_THREAD: "tcp"}.get(thread, f"q{thread}")


def _client(record: Record) -> str:
    """Nothing is known of who sent what is no valid request."""
    if not record.service:
        return "-"
    address = ipaddress.ip_address(record.source)
    return f"[{address}]:{record.port}" if address.version == 6 else f"{address}:{record.port}"


def _question(record: Record, payload: bytes) -> list[str]:
    if record.service != SERVICES["dns"] or len(payload) < _HEADER or not any(payload[4:6]):
        return []
    name, end = _name(payload)
    if end + 2 > len(payload):
        return [name]
    return [name, dns.rdatatype.to_text(dns.rdatatype.RdataType.make(_u16(payload, end)))]


def _rcode(record: Record) -> list[str]:
    reply = record.reply[record.payload :]
    if record.service != SERVICES["dns"] or len(reply) < _HEADER:
        return []
    return [dns.rcode.to_text(dns.rcode.Rcode.make(reply[3] & 15))]


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _name(message: bytes) -> tuple[str, int]:
    """The question's name, escaped, and where it ends; "?" for what is none."""
    labels: list[str] = []
    at = _HEADER
    while at < len(message) and at - _HEADER < 255:
        length = message[at]
        if length > 63 or at + 1 + length > len(message):
            break
        at += 1 + length
        if not length:
            return ".".join(labels) + ".", at
        labels.append("".join(map(_character, message[at - length : at])))
    return "?", len(message)


def _character(byte: int) -> str:
    if byte in _ESCAPED or not 0x21 <= byte <= 0x7E:
        return f"\\{byte:03}"
    return chr(byte)
