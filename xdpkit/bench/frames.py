"""Complete request frames, made in Python for off-wire measurements."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from xdpkit.bench import zones
from xdpkit.bench.counted import PORTS
from xdpkit.lab.namespaces import CLIENT_IPV4, CLIENT_IPV6, SERVER_IPV4, SERVER_IPV6
from xdpkit.loadgen.setup import UDP, request_header
from xdpkit.services.ntp.client import CLIENT, HEADER

MACS = (bytes.fromhex("020000000002"), bytes.fromhex("020000000001"))
FIRST_PORT = 61000
# Distinct timestamps, ports and payloads: no two frames in a row are alike.
DISTINCT = 4096
# Any timestamp but 0, which means none.
FIRST_MARK = 1 << 32


def complement_sum(data: bytes) -> int:
    """The ones'-complement sum of 16-bit words (RFC 1071), by casting out 0xffff."""
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


def frames(
    service: str, payloads: Iterable[bytes], version: int = 4, sources: Sequence[bytes] = ()
) -> list[bytes]:
    """An Ethernet frame for each payload, with correct checksums, from lab client to lab server.

    With ``sources``, IPv4 addresses in network byte order, from these in turn.
    """
    addresses = {4: (CLIENT_IPV4, SERVER_IPV4), 6: (CLIENT_IPV6, SERVER_IPV6)}[version]
    source, destination = map(ip_address, addresses)
    header, ip_at = request_header(MACS, (source, destination), PORTS[service])
    base = complement_sum(source.packed + destination.packed) + UDP + PORTS[service]
    made = []
    for number, payload in enumerate(payloads):
        port, length = FIRST_PORT + number % 1000, 8 + len(payload)
        # The length counts twice: in the pseudo-header and in the UDP header (RFC 768).
        address = sources[number % len(sources)] if sources else source.packed
        difference = complement_sum(address) - complement_sum(source.packed)
        total = (base + difference + port + 2 * length + complement_sum(payload)) % 0xFFFF
        udp = struct.pack("!4H", port, PORTS[service], length, 0xFFFF - total)
        start = header[ip_at:-8]
        if sources:
            start = start[:12] + address + start[16:]
        ip = _with_length(start, version, length)
        made.append(header[:ip_at] + ip + udp + payload)
    return made


def _with_length(ip: bytes, version: int, length: int) -> bytes:
    if version == 6:
        return ip[:4] + struct.pack("!H", length) + ip[6:]
    ip = ip[:2] + struct.pack("!H", len(ip) + length) + ip[4:]
    return ip[:10] + struct.pack("!H", 0xFFFF - complement_sum(ip)) + ip[12:]


def ntp_payloads(count: int = DISTINCT) -> list[bytes]:
    """NTPv4 client requests whose transmit timestamps count up by one."""
    flags = 4 << 3 | CLIENT
    return [
        HEADER.pack(flags, 0, 0, 0, 0, 0, bytes(4), 0, 0, 0, FIRST_MARK + number)
        for number in range(count)
    ]


def echo_payloads(count: int = DISTINCT, size: int = 48) -> list[bytes]:
    """As many bytes as an NTP request has."""
    return [number.to_bytes(8, "big") + b"\x55" * (size - 8) for number in range(count)]


def random_sources(count: int = 1 << 16, seed: int = 0) -> list[bytes]:
    """Addresses in 10.0.0.0/8, most of them alone in their /24."""
    chance = random.Random(seed)
    return [b"\x0a" + chance.randbytes(3) for _ in range(count)]


def dns_payloads(names: int) -> list[bytes]:
    """Queries for names in the benchmark's zone, in random order, with distinct IDs."""
    return [
        struct.pack("!H", number & 0xFFFF) + query[2:]
        for number, query in enumerate(zones.uniform(names))
    ]
