"""Warnings of ``check`` about addresses: those that this host has, next to those to be served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, NamedTuple

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from xdpkit.config import Config
from xdpkit.config.address import Address
from xdpkit.config.toml_location import Locations
from xdpkit.nic.os import names
from xdpkit.nic.os.interface import from_link

# linux/if.h.
IFF_LOOPBACK = 0x8


class HostAddress(NamedTuple):
    """An address of this host, on the interface with this name."""

    address: Address
    prefix: int
    ifname: str
    hosts: bool
    """Whether that is one without a cable (lo, dummy), where anycast addresses are put."""

    @property
    def anycast(self) -> bool:
        """Whether it is like those that routing leads here: RFC 4786."""
        address = self.address
        local = address.is_loopback or address.is_link_local
        return self.hosts and self.prefix == address.max_prefixlen and not local


def address_warnings(config: Config) -> list[dict[str, Any]]:
    """What is doubtful about ``addresses``; nothing where the interface is not there."""
    path = str(config.path)
    try:
        ifname = names.name_of(names.index_of(config.interface.name))
        found = host_addresses()
    except (OSError, NetlinkError):
        return []
    locations: Locations | None = None
    with suppress(OSError, ValueError):
        locations = Locations(config.path.read_text())
    warnings = []
    for index, text in doubts(config, found, ifname):
        keys = [("interface", "addresses", index), ("interface", "addresses"), ("interface",)]
        known = [locations.value(key) for key in keys] if locations else []
        line = next((each.line for each in known if each), None)
        warnings.append({"path": path, "line": line, "warning": text})
    return warnings


def host_addresses() -> list[HostAddress]:
    """The addresses of all interfaces of this network namespace. Raises OSError, NetlinkError."""
    with IPRoute() as ipr:
        links = {link["index"]: link for link in ipr.get_links()}
        messages = list(ipr.get_addr())
    found = []
    for message in messages:
        link = links.get(message["index"])
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        if link is None or not text:
            continue
        interface = from_link(link)
        hosts = bool(link["flags"] & IFF_LOOPBACK) or interface.kind == "dummy"
        found.append(HostAddress(ip_address(text), message["prefixlen"], interface.name, hosts))
    return found


def doubts(config: Config, found: Sequence[HostAddress], ifname: str) -> Iterator[tuple[int, str]]:
    """(index in ``addresses``, text) of what does not fit the addresses of the host.

    ``ifname`` is the name that the interface has now; an index of -1 is the table itself.
    """
    interface = config.interface
    here = {each.address for each in found}
    named = {served.address for served in interface.addresses}
    for index, served in enumerate(interface.addresses):
        if served.address not in here:
            yield (
                index,
                f"no interface of this host has {served.address}: nothing here answers ARP or "
                "neighbor discovery for it, and the slow path cannot serve it; ip address add "
                f"{served.address}/{served.address.max_prefixlen} dev lo if it is routed here, "
                "or fix it",
            )
    anycast = [each for each in found if each.anycast]
    if named and not named & {each.address for each in anycast}:
        # The operator has chosen, and none of these.
        return
    for each in anycast:
        if each.address not in named and each.ifname != ifname:
            why = "addresses does not name it" if named else f"only those of {ifname} are"
            yield (
                -1,
                f"{each.address} on {each.ifname} is not served ({why}): if it is an anycast "
                f"address that is routed here, add it to addresses, with those of {ifname}",
            )
