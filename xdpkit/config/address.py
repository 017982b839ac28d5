"""Addresses, as written in the configuration.

Served: ``192.0.2.1``, ``2001:db8::1@100.7``. With a port: ``127.0.0.1:9153``, ``[::1]:9153``.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

# VLAN IDs 0 (no VLAN) and 4095 (reserved) are not VLANs: IEEE 802.1Q table 9-2.
_VLAN_IDS = range(1, 4095)
_BROADCAST = IPv4Address("255.255.255.255")
_EXAMPLE = '"127.0.0.1:9153" or "[::1]:9153"'

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class ServedAddress:
    """An address to serve and the VLAN tags that its frames carry: 0 means no tag."""

    address: Address
    outer: int = 0
    inner: int = 0

    def __str__(self) -> str:
        tags = [str(tag) for tag in (self.outer, self.inner) if tag]
        return f"{self.address}@{'.'.join(tags)}" if tags else str(self.address)


def parse_address(text: str) -> ServedAddress:
    """Read ``ADDR``, ``ADDR@VLAN`` or ``ADDR@OUTER.INNER``.

    Raises ValueError, with the fix, for anything that is not an address of unicast frames.
    """
    host, at, tags = text.partition("@")
    if "/" in host or "%" in host:
        raise ValueError("write only the address, without prefix length or scope")
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 address") from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise ValueError(f"write the IPv4 address: {address.ipv4_mapped}")
    if address.is_multicast or address.is_unspecified or address == _BROADCAST:
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
            raise ValueError(f"VLAN {tag} is not within 1..4094; omit the @ if there is no tag")
    return [int(tag) for tag in tags]


@dataclass(frozen=True)
class SocketAddress:
    """An address of this machine and a port."""

    address: Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


def parse_socket_address(text: str) -> SocketAddress:
    """Read ``ADDR:PORT`` or ``[ADDR]:PORT``, where ADDR may be ``0.0.0.0`` or ``::`` for all.

    Raises ValueError, with the fix, for anything that cannot be listened on.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if "%" in host:
        raise ValueError("write the address without a scope")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(f"not an address and a port: write {_EXAMPLE}") from None
    if bracketed != (address.version == 6):
        raise ValueError(f"brackets are for IPv6 addresses, which need them: write {_EXAMPLE}")
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise ValueError(f'write the IPv4 address: "{address.ipv4_mapped}:{port}"')
    if address.is_multicast or address == _BROADCAST:
        raise ValueError("not a unicast address")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError("the port after the colon is not within 1..65535")
    return SocketAddress(address, int(port))
