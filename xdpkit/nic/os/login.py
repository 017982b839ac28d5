"""Whether somebody is logged in over an interface: changing it may cut that connection."""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from xdpkit.config.address import Address
from xdpkit.nic.os.interface import Interface

SSH_PORT = 22
# linux/tcp_states.h TCP_ESTABLISHED, as /proc/net/tcp writes it.
_ESTABLISHED = "01"


async def login_over(
    ipr: AsyncIPRoute, interface: Interface, own: Collection[Address]
) -> str | None:
    """The peer of an SSH session over the interface, or None.

    It is one if our end is an address of the interface, or the route to the peer leaves by it.
    """
    for local, peer in {*session(os.environ.get("SSH_CONNECTION", "")), *established()}:
        if local in own or await _route_to(ipr, peer) == interface.index:
            return str(peer)
    return None


def session(text: str) -> list[tuple[Address, Address]]:
    """Our end and the peer, from SSH_CONNECTION as sshd sets it: peer, port, ours, port."""
    with suppress(ValueError):
        peer, _, local, _ = text.split()
        return [(ip_address(local), ip_address(peer))]
    return []


def established(directory: Path = Path("/proc/thread-self/net")) -> list[tuple[Address, Address]]:
    """Our end and the peer of each connection to the SSH server of this network namespace."""
    found = []
    for name in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (directory / name).read_text().splitlines()[1:]:
                _, local, peer, state, *_ = line.split()
                if state == _ESTABLISHED and int(local.split(":")[1], 16) == SSH_PORT:
                    found.append((_address(local), _address(peer)))
    return found


def _address(text: str) -> Address:
    """ "0100007F:0016": 32-bit words, each printed as a number in host order."""
    digits = text.split(":")[0]
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    address = ip_address(struct.pack(f"={len(words)}I", *words))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


async def _route_to(ipr: AsyncIPRoute, peer: Address) -> int | None:
    """Index of the interface by which packets to the peer leave."""
    try:
        [route] = await ipr.route("get", dst=str(peer))
    except NetlinkError:
        return None
    index: int | None = route.get_attr("RTA_OIF")
    return index
