"""An interface's properties, read over netlink; nothing here changes them."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_interface
from typing import Any

import anyio
from pyroute2 import AsyncIPRoute, NetlinkError

from xdpkit.config.address import Address
from xdpkit.errors import NicError
from xdpkit.nic.os import names
from xdpkit.runtime.notify import notify

log = logging.getLogger("xdpkit")

# How often to check for an interface that we wait for.
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Interface:
    """What serving needs to know about an interface."""

    name: str
    index: int
    rx_queues: int
    up: bool
    xdp_program: int | None
    """ID of the attached XDP program, however it was attached; None without one."""
    mac: bytes = b""
    kind: str = ""
    """The kind of virtual interface (veth, bridge, ...); empty for a physical device."""
    master: int = 0
    """Index of the bridge, bond or team that it is a member of, or 0."""


@dataclass(frozen=True)
class InterfaceAddress:
    """An address of the interface, and its subnet's broadcast address if it has one."""

    address: Address
    broadcast: IPv4Address | None


async def find(ipr: AsyncIPRoute, name: str) -> Interface:
    """Looks up an interface of this network namespace by its name or an altname.

    Raises NicError when there is none, and OSError when that cannot be found out.
    """
    try:
        index = names.index_of(name)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
        links = [link async for link in await ipr.get_links()]
        there = sorted(str(link.get_attr("IFLA_IFNAME")) for link in links)
        raise NicError(
            f"interface {name!r} does not exist: set [interface] name to one of {', '.join(there)}"
        ) from None
    try:
        (link,) = [link async for link in await ipr.get_links(index)]
    except NetlinkError as error:
        raise NicError(f"{name}: RTM_GETLINK: {os.strerror(error.code)}") from error
    return from_link(link)


async def await_up(name: str) -> None:
    """Waits until an interface of this network namespace exists and is up; logs the wait once."""
    logged = False
    async with AsyncIPRoute() as ipr:
        while True:
            try:
                state = "" if (await find(ipr, name)).up else "down"
            except NicError:
                state = "missing"
            if not state:
                return
            if not logged:
                log.warning("%s is %s: waiting for it", name, state)
                logged = True
            notify("EXTEND_TIMEOUT_USEC=10000000")
            await anyio.sleep(_POLL_SECONDS)


def from_link(link: Any) -> Interface:
    """The properties in one RTM_NEWLINK message."""
    xdp = link.get_attr("IFLA_XDP")
    info = link.get_attr("IFLA_LINKINFO")
    program = xdp.get_attr("IFLA_XDP_PROG_ID") if xdp is not None else None
    return Interface(
        name=link.get_attr("IFLA_IFNAME"),
        index=link["index"],
        rx_queues=link.get_attr("IFLA_NUM_RX_QUEUES") or 1,
        up=link["state"] == "up",
        xdp_program=program or None,
        mac=bytes.fromhex((link.get_attr("IFLA_ADDRESS") or "").replace(":", "")),
        kind=(info.get_attr("IFLA_INFO_KIND") if info is not None else None) or "",
        master=link.get_attr("IFLA_MASTER") or 0,
    )


async def check_membership(ipr: AsyncIPRoute, interface: Interface, has_addresses: bool) -> None:
    """Raises NicError for a bond or team, and for a member of one, or of a bridge, that has no
    addresses to serve."""
    links = [link async for link in await ipr.get_links()]
    if interface.kind in ("bond", "team"):
        members = [
            link.get_attr("IFLA_IFNAME")
            for link in links
            if link.get_attr("IFLA_MASTER") == interface.index
        ]
        raise NicError(
            f"{interface.name} is a {interface.kind}: packets are redirected where they arrive, "
            f"on its members, so set [interface] name to {' or '.join(members) or 'one'}, and "
            f"addresses to those of {interface.name}"
        )
    if interface.master and not has_addresses:
        [master] = [link for link in links if link["index"] == interface.master]
        raise NicError(
            f"{interface.name} is a member of {master.get_attr('IFLA_IFNAME')} and has no address "
            "of its own: set [interface] addresses to those to serve"
        )


async def addresses(ipr: AsyncIPRoute, index: int) -> list[InterfaceAddress]:
    """The interface's current unicast addresses."""
    found = []
    async for message in await ipr.get_addr(index=index):
        # On point-to-point links IFA_ADDRESS is the peer's, and IFA_LOCAL ours (linux/if_addr.h).
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        address = ip_address(text)
        network = ip_interface(f"{text}/{message['prefixlen']}").network
        # RFC 3021: a /31 has no broadcast address, nor does a /32.
        has_broadcast = address.version == 4 and network.prefixlen < 31
        broadcast = network.broadcast_address if has_broadcast else None
        found.append(
            InterfaceAddress(address, broadcast if isinstance(broadcast, IPv4Address) else None)
        )
    return found
