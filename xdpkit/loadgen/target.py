"""Where the generator may send, and the addresses it needs for that, read over netlink.

Without explicit permission it sends only through a veth or macvlan whose other end is in another
network namespace, to an address on that link: that is a lab, a container, or a test, never the
machine's own network.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from xdpkit.config.address import Address
from xdpkit.errors import NicError, UsageError
from xdpkit.nic.os.interface import Interface, from_link

KINDS = ("veth", "macvlan")
PORT = {"ntp": 123, "dns": 53, "echo": 7}
# The discard port, RFC 863: a datagram to it only triggers the kernel's neighbor discovery.
DISCARD_PORT = 9
NEIGHBOUR_SECONDS = 2.0

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Target:
    """One stream of requests: source, destination, interface."""

    interface: Interface
    mac: bytes
    source: Address
    """The first of the source addresses."""
    address: Address
    port: int


def parse_endpoint(text: str, version: int | None, port: int) -> tuple[Address, int]:
    """ADDR, ADDR:PORT, or [ADDR]:PORT, where ADDR may be a host name; ``version`` is 4 or 6.

    Raises UsageError.
    """
    host, number = text, str(port)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        number = rest.removeprefix(":") or number
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
    if not number.isascii() or not number.isdigit() or not 1 <= int(number) <= 65535:
        raise UsageError(f"{text!r}: {number!r} is not a UDP port: write ADDR:PORT or [ADDR]:PORT")
    try:
        address = ip_address(host)
    except ValueError:
        address = _resolved(host, version)
    if version and address.version != version:
        raise UsageError(f"{host} is not an IPv{version} address: omit -{version}")
    return address, int(number)


def _resolved(host: str, version: int | None) -> Address:
    family = {4: socket.AF_INET, 6: socket.AF_INET6}.get(version or 0, socket.AF_UNSPEC)
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_DGRAM)
    except OSError as error:
        raise UsageError(f"{host!r} is neither an address nor a host name: {error}") from error
    return ip_address(found[0][4][0])


def find(
    name: str,
    endpoint: tuple[Address, int],
    *,
    mac: bytes | None = None,
    first: Address | None = None,
    permitted: bool = False,
) -> Target:
    """Everything needed to send to ``endpoint`` through interface ``name`` of this namespace.

    ``permitted`` lifts the restriction to a lab. Raises NicError and UsageError.
    """
    address, port = endpoint
    with IPRoute() as ipr:
        indexes = ipr.link_lookup(ifname=name)
        if not indexes:
            names = sorted(str(link.get_attr("IFLA_IFNAME")) for link in ipr.get_links())
            raise UsageError(f"--interface {name} does not exist: use one of {', '.join(names)}")
        link = ipr.get_links(indexes[0])[0]
        if not permitted:
            check_kind(name, link_kind(link), link.get_attr("IFLA_LINK_NETNSID") is not None)
        interface = from_link(link)
        source, hop = _route(ipr, interface, address, permitted)
        mac = mac or _neighbour(ipr, interface, hop)
    return Target(interface, mac, first or source, address, port)


def link_kind(link: Any) -> str:
    """The kind of a link, such as veth; empty for a hardware device."""
    info = link.get_attr("IFLA_LINKINFO")
    return str(info.get_attr("IFLA_INFO_KIND")) if info is not None else ""


def check_kind(name: str, kind: str, far_end_elsewhere: bool) -> None:
    """Raises UsageError for an interface that does not lead into a network namespace."""
    if kind in KINDS and far_end_elsewhere:
        return
    what = f"a link of kind {kind}" if kind else "not a veth"
    if kind in KINDS:
        what += ", but its other end is in this namespace"
    raise UsageError(
        f"{name} is {what}: blast sends only through a veth or macvlan whose other end is in "
        "another network namespace, or to the address given with --yes-send-to ADDR"
    )


def _route(
    ipr: IPRoute, interface: Interface, address: Address, permitted: bool
) -> tuple[Address, Address]:
    """(our source address, the next hop) for an address. Raises NicError."""
    try:
        route = next(iter(ipr.route("get", dst=str(address), oif=interface.index)))
    except NetlinkError as error:
        raise NicError(
            f"{address} is not reachable through {interface.name}: {error.args[-1]}; give the "
            f"interface an address in that subnet"
        ) from error
    gateway = route.get_attr("RTA_GATEWAY")
    if route.get_attr("RTA_OIF") != interface.index or (gateway and not permitted):
        raise NicError(
            f"{address} is not on the link of {interface.name}: blast sends beyond a router only "
            f"with --yes-send-to {address}"
        )
    source = route.get_attr("RTA_PREFSRC")
    if not source:
        raise NicError(f"{interface.name} has no IPv{address.version} address: give it one")
    return ip_address(source), ip_address(gateway) if gateway else address


def _neighbour(ipr: IPRoute, interface: Interface, hop: Address) -> bytes:
    """The next hop's MAC address, by triggering neighbor discovery. Raises NicError."""
    family = socket.AF_INET if hop.version == 4 else socket.AF_INET6
    deadline = time.monotonic() + NEIGHBOUR_SECONDS
    with socket.socket(family, socket.SOCK_DGRAM) as prompt:
        while True:
            for entry in ipr.get_neighbours(family=family, ifindex=interface.index):
                if entry.get_attr("NDA_DST") == str(hop) and entry.get_attr("NDA_LLADDR"):
                    return bytes.fromhex(entry.get_attr("NDA_LLADDR").replace(":", ""))
            if time.monotonic() > deadline:
                raise NicError(
                    f"{hop} does not answer on {interface.name}: is the host up? If so, give "
                    "its MAC address with --to-mac"
                )
            try:
                prompt.sendto(b"", (str(hop), DISCARD_PORT))
            except OSError as error:
                raise NicError(f"{hop} on {interface.name}: {error.strerror}") from error
            time.sleep(0.02)


def parse_mac(text: str) -> bytes:
    """Parses a MAC address: six pairs of hex digits. Raises UsageError."""
    parts = text.replace("-", ":").split(":")
    try:
        mac = bytes(int(part, 16) for part in parts if len(part) in (1, 2))
    except ValueError:
        mac = b""
    if len(mac) != 6 or len(parts) != 6 or mac[0] & 1:
        raise UsageError(
            f"--to-mac {text!r} is not a unicast MAC address: 02:00:00:00:00:01 is one"
        )
    return mac


def first_address(text: str, count: int, target: Address) -> Address:
    """The first of ``count`` source addresses in the prefix ``text``. Raises UsageError."""
    try:
        network: Network = ip_interface(text).network
    except ValueError as error:
        raise UsageError(f"--from: {error}: write a prefix like 198.18.0.0/16") from error
    if network.version != target.version:
        raise UsageError(f"--from {text}: {target} is IPv{target.version}: give such a prefix")
    # Excludes the network address and the broadcast address.
    room = max(network.num_addresses - 2, 1)
    if count > room:
        raise UsageError(f"--addresses {count}: {text} has {room}: give --from a shorter prefix")
    return network.network_address + (1 if network.num_addresses > 2 else 0)


def check_sources(source: Address, count: int, own: Sequence[str], target: Address) -> None:
    """Raises UsageError if the range from our own address leaves its subnet or hits the target."""
    if count == 1:
        return
    last = int(source) + count - 1
    for text in own:
        subnet = ip_interface(text).network
        if source not in subnet:
            continue
        end = int(subnet.network_address) + subnet.num_addresses - 2
        if last <= end and not int(source) <= int(target) <= last:
            return
    raise UsageError(
        f"--addresses {count}: the subnet of {source} does not have that many above it: give a "
        "prefix with --from"
    )
