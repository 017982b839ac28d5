"""Frames packed word by word, independent of xdpkit's code: the tests' second opinion."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, replace

SERVER_MAC = bytes.fromhex("020000000001")
CLIENT_MAC = bytes.fromhex("020000000002")
SERVER = {4: "192.0.2.1", 6: "2001:db8::1"}
CLIENT = {4: "192.0.2.9", 6: "2001:db8::9"}
UDP = 17


def ones_sum(data: bytes) -> int:
    """The ones'-complement sum of 16-bit words (RFC 1071), not complemented."""
    total = sum(
        struct.unpack(f">{len(data) // 2 + len(data) % 2}H", data + b"\0" * (len(data) % 2))
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Packet:
    """One UDP datagram in an Ethernet frame. A checksum of None is computed."""

    payload: bytes = b""
    version: int = 4
    source: str = ""
    destination: str = ""
    source_port: int = 40000
    port: int = 123
    macs: tuple[bytes, bytes] = (SERVER_MAC, CLIENT_MAC)
    tags: tuple[tuple[int, int], ...] = ()
    tos: int = 0
    flow: int = 0
    ident: int = 0
    fragment: int = 0x4000
    ttl: int = 64
    ip_checksum: int | None = None
    udp_checksum: int | None = None
    padding: bytes = b""

    @property
    def addresses(self) -> bytes:
        source = self.source or CLIENT[self.version]
        destination = self.destination or SERVER[self.version]
        return ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed

    @property
    def pseudo(self) -> bytes:
        """The pseudo-header: RFC 768, RFC 8200 section 8.1."""
        return self.addresses + struct.pack(">IBBH", 8 + len(self.payload), 0, 0, UDP)

    def udp(self) -> bytes:
        length = 8 + len(self.payload)
        header = struct.pack(">HHH", self.source_port, self.port, length)
        checksum = self.udp_checksum
        if checksum is None:
            checksum = 0xFFFF ^ ones_sum(self.pseudo + header + b"\0\0" + self.payload) or 0xFFFF
        return header + struct.pack(">H", checksum) + self.payload

    def ip(self) -> bytes:
        length = 8 + len(self.payload)
        if self.version == 6:
            word = 6 << 28 | self.tos << 20 | self.flow
            return struct.pack(">IHBB", word, length, UDP, self.ttl) + self.addresses
        words = (0x45, self.tos, 20 + length, self.ident, self.fragment, self.ttl, UDP)
        checksum = self.ip_checksum
        if checksum is None:
            checksum = 0xFFFF ^ ones_sum(struct.pack(">BBHHHBBH", *words, 0) + self.addresses)
        return struct.pack(">BBHHHBBH", *words, checksum) + self.addresses

    def frame(self) -> bytes:
        """The whole frame."""
        tags = b"".join(struct.pack(">HH", *tag) for tag in self.tags)
        ethertype = b"\x08\x00" if self.version == 4 else b"\x86\xdd"
        ethernet = b"".join(self.macs) + tags + ethertype
        return ethernet + self.ip() + self.udp() + self.padding

    def reply(self, payload: bytes) -> Packet:
        """The fresh packet that the server would send to this one's sender."""
        source = str(ipaddress.ip_address(self.addresses[: len(self.addresses) // 2]))
        destination = str(ipaddress.ip_address(self.addresses[len(self.addresses) // 2 :]))
        return Packet(
            payload,
            self.version,
            destination,
            source,
            self.port,
            self.source_port,
            (self.macs[1], self.macs[0]),
            self.tags,
        )

    def but(self, **changes: object) -> Packet:
        """The same packet with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]
