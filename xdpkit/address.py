"""Addresses to answer on, as the configuration has them: ``192.0.2.1``, ``2001:db8::1@100.7``."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

# VLAN ids 0 (no VLAN) and 4095 (reserved) are not VLANs: IEEE 802.1Q table 9-2.
_VLAN_IDS = range(1, 4095)


@dataclass(frozen=True)
class ServedAddress:
    """An address to answer on and the VLAN tags its frames carry: 0 is "no such tag"."""

    address: IPv4Address | IPv6Address
    outer: int = 0
    inner: int = 0

    def __str__(self) -> str:
        tags = [str(tag) for tag in (self.outer, self.inner) if tag]
        return f"{self.address}@{'.'.join(tags)}" if tags else str(self.address)


def parse_address(text: str) -> ServedAddress:
    """Read ``ADDR``, ``ADDR@VLAN`` or ``ADDR@OUTER.INNER``.

    Raises ValueError, with the fix, for what no unicast frame on a wire can carry.
    """
    host, at, tags = text.partition("@")
    if "/" in host or "%" in host:
        raise ValueError("write the address alone, without prefix length or scope")
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"write the IPv4 address: {address.ipv4_mapped}")
    if address.is_multicast or address.is_unspecified or address == IPv4Address("255.255.255.255"):
        raise ValueError("not a unicast address")
    if address.is_loopback:
        raise ValueError("a loopback address never arrives on an interface")
    return ServedAddress(address, *(_vlan_ids(tags) if at else ()))


def _vlan_ids(text: str) -> list[int]:
    tags = text.split(".")
    if len(tags) > 2 or not all(tag.isascii() and tag.isdigit() and len(tag) <= 4 for tag in tags):
        raise ValueError("after @ comes VLAN or OUTER.INNER, as in 192.0.2.1@100")
    for tag in tags:
        if int(tag) not in _VLAN_IDS:
            raise ValueError(f"VLAN {tag} is not within 1..4094; without a tag, leave out the @")
    return [int(tag) for tag in tags]
