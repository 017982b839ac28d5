"""The routes that lead nowhere (blackhole, unreachable, prohibit), as the kernel has them.

A reply of the slow path that such a route covers is refused by the kernel; one of the chosen queues
never meets the routing table. Read are the main tables, IPv4 and IPv6; rules (ip-rule) and other
tables are not. The kernel sorts out the types (NETLINK_GET_STRICT_CHK, Linux 4.20), so a machine
with a million routes gives only these; if there are any, the others are read too, of which those
inside them count.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from xdpkit.config.prefixes import PREFIXES_MAX
from xdpkit.errors import NicError
from xdpkit.nic.os import netlink
from xdpkit.nic.os.netlink import SOL_NETLINK, attributes

# linux/netlink.h and linux/rtnetlink.h.
NETLINK_GET_STRICT_CHK = 12
RTM_GETROUTE, RTM_NEWROUTE = 26, 24
RTA_DST, RTA_PRIORITY, RTA_TABLE = 1, 6, 15
RT_TABLE_MAIN = 254
RTN_UNSPEC, RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT = 0, 6, 7, 8
DEAD = (RTN_BLACKHOLE, RTN_UNREACHABLE, RTN_PROHIBIT)
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
# struct rtmsg, the kernel's numbers in host order.
_ROUTE = struct.Struct("=8BI")

# How long the kernel may take for a part of a dump.
_SECONDS = 10.0

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True)
class Route:
    """A prefix as numbers, and whether it leads nowhere; the lowest ``priority`` counts."""

    address: int
    length: int
    priority: int
    dead: bool


Spans = list[tuple[int, int, int]]
"""First address, length in bits, and 1 for a route that leads nowhere, 0 for another."""


def watch() -> socket.socket:
    """A nonblocking socket that becomes readable when routes change. Raises OSError."""
    made = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
    )
    made.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
    return made


def drain(notifications: socket.socket) -> None:
    """Discards what has arrived: everything is read again, whatever was lost (ENOBUFS)."""
    while True:
        try:
            notifications.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


def read() -> dict[int, Spans]:
    """Both families' routes that lead nowhere, and those inside them that do not.

    Blocks: for a thread. Raises OSError, and NicError for more than PREFIXES_MAX.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.settimeout(_SECONDS)
        sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        sock.bind((0, 0))
        return {version: _spans(sock, version) for version in (4, 6)}


def _spans(sock: socket.socket, version: int) -> Spans:
    bits = {4: 32, 6: 128}[version]
    best: dict[tuple[int, int], Route] = {}

    def add(route: Route) -> None:
        key = (route.address, route.length)
        known = best.get(key)
        if known is None or route.priority < known.priority:
            best[key] = route
        if len(best) > PREFIXES_MAX:
            raise NicError(
                f"route_check: more than {PREFIXES_MAX} routes that lead nowhere, or inside one of "
                "those: aggregate them, or set route_check = false"
            )

    for kind in DEAD:
        for route in _dump(sock, version, kind):
            add(route)
    dead = set(best)
    if dead:
        lengths = sorted({length for _, length in dead})
        for route in _dump(sock, version, RTN_UNSPEC):
            inside = any(
                (route.address >> (bits - length) << (bits - length), length) in dead
                for length in lengths
                if length <= route.length
            )
            if inside and not route.dead:
                add(route)
    return [(route.address, route.length, int(route.dead)) for route in best.values()]


def _dump(sock: socket.socket, version: int, kind: int) -> Iterator[Route]:
    """The main table's routes of a type, RTN_UNSPEC for all."""
    family = _FAMILIES[version]
    message = _ROUTE.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, kind, 0)
    try:
        for what, body in netlink.dump(sock, RTM_GETROUTE, message):
            if what == RTM_NEWROUTE and (route := _route(body, family)):
                yield route
    except netlink.NetlinkError as error:
        # A table that does not exist yet is empty.
        if error.errno != errno.ENOENT:
            raise OSError(error.errno, "reading the routes") from error


def _route(body: bytes, family: int) -> Route | None:
    """A route of the main table, from its message."""
    found, length, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(body)
    address, priority = 0, 0
    for name, value in attributes(body[_ROUTE.size :]):
        if name == RTA_DST:
            address = int.from_bytes(value, "big")
        elif name == RTA_PRIORITY:
            priority = int.from_bytes(value, "little")
        elif name == RTA_TABLE:
            table = int.from_bytes(value, "little")
    if found != family or table != RT_TABLE_MAIN:
        return None
    return Route(address, length, priority, kind in DEAD)
