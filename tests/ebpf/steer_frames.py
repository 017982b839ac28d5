"""Frames for the XDP program: one that is ours in every respect, and variations of it."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

SERVER_MAC, CLIENT_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
ADDRESSES = {4: ("192.0.2.2", "192.0.2.1"), 6: ("2001:db8::2", "2001:db8::1")}
PORTS = {"ntp": 123, "dns": 53, "echo": 7}
FAMILIES = (4, 6)

NTP_REQUEST = b"\x23" + bytes(47)
# ID, no flags, one question: "a." A IN.
DNS_REQUEST = bytes.fromhex("1234 0000 0001 0000 0000 0000 0161 00 0001 0001".replace(" ", ""))
PAYLOADS = {"ntp": NTP_REQUEST, "dns": DNS_REQUEST, "echo": b"echo"}


def tags_of(*vids: int, outer: type[Packet] = Dot1Q) -> list[Packet]:
    """VLAN tags, outermost first; ``outer`` is Dot1AD for an 802.1ad outer tag."""
    return [(outer if at == 0 else Dot1Q)(vlan=vid) for at, vid in enumerate(vids)]


def network(family: int, **fields: object) -> Packet:
    """The IP header from client to server, with the given fields changed."""
    source, destination = ADDRESSES[family]
    layer = IP if family == 4 else IPv6
    return layer(**({"src": source, "dst": destination} | fields))


def frame(
    family: int,
    service: str = "ntp",
    payload: bytes | None = None,
    tags: tuple[Packet, ...] | list[Packet] = (),
    ip: Packet | None = None,
    udp: dict[str, object] | None = None,
    mac: str = SERVER_MAC,
    source_mac: str = CLIENT_MAC,
) -> bytes:
    """A request of ``service`` as bytes, complete and valid except for what is given."""
    packet = Ether(dst=mac, src=source_mac)
    for tag in tags:
        packet /= tag
    packet /= ip if ip is not None else network(family)
    packet /= UDP(**({"sport": 40000, "dport": PORTS[service]} | (udp or {})))
    packet /= Raw(PAYLOADS[service] if payload is None else payload)
    return bytes(packet)


def ethernet(ethertype: int, payload: bytes = bytes(46), mac: str = SERVER_MAC) -> bytes:
    """A frame of any EtherType."""
    return bytes(Ether(dst=mac, src=CLIENT_MAC, type=ethertype) / Raw(payload))
