"""Which user's socket would receive a datagram that we send to this host.

The kernel is asked to look for the receiver as it does for a datagram (sock_diag(7), udp_dump_one
in Linux net/ipv4/udp_diag.c). Where it lacks that, /proc/net/udp and udp6 say whose sockets are
bound to the port, and which address counts most.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

from xdpkit.nic.os import netlink
from xdpkit.nic.os.udp_sockets import UNCONNECTED, entries, tables

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h (INET_DIAG_NOCOOKIE).
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
# Of every network namespace: LOOPBACK_IFINDEX of include/net/net_namespace.h.
_LOOPBACK = 1

# struct inet_diag_req_v2 without its id: family, protocol, extensions, states.
_REQUEST = struct.Struct("=BBBxI")
# struct inet_diag_sockid: the ports and addresses of sender and receiver, interface, cookie.
_ID = struct.Struct("!HH16s16s")
_ID_REST = struct.Struct("=III")
# struct inet_diag_msg: 4 bytes, its id, expires, rqueue, wqueue, uid, inode.
_UID_AT = 4 + _ID.size + _ID_REST.size + 12

Endpoint = tuple[str, int]


def receiver_users(sender: Endpoint, receiver: Endpoint) -> set[int]:
    """The users whose socket a datagram over the loopback interface may reach; empty for none.

    One, where the kernel says. Raises OSError where neither can be read.
    """
    found = _ask_kernel(sender, receiver)
    return {found} if found is not None else _read_tables(receiver)


def _ask_kernel(sender: Endpoint, receiver: Endpoint) -> int | None:
    """The receiver's user; None if there is none, or if the kernel cannot be asked."""
    source, destination = ip_address(sender[0]), ip_address(receiver[0])
    family = socket.AF_INET if destination.version == 4 else socket.AF_INET6
    request = (
        _REQUEST.pack(family, socket.IPPROTO_UDP, 0, 0xFFFFFFFF)
        + _ID.pack(sender[1], receiver[1], source.packed, destination.packed)
        + _ID_REST.pack(_LOOPBACK, _NO_COOKIE, _NO_COOKIE)
    )
    try:
        with netlink.open_socket(NETLINK_SOCK_DIAG) as kernel:
            answer = netlink.exchange(kernel, SOCK_DIAG_BY_FAMILY, request)
    except OSError:
        return None
    [user] = struct.unpack_from("=I", answer, _UID_AT)
    return int(user)


def _read_tables(receiver: Endpoint) -> set[int]:
    """The users of the sockets that are bound to the address or, else, to every address."""
    wanted = ip_address(receiver[0])
    exact: set[int] = set()
    any_address: set[int] = set()
    for lines in tables():
        for entry in entries(lines, UNCONNECTED, (receiver[1],)):
            if entry.address == wanted:
                exact.add(entry.uid)
            elif entry.address.is_unspecified and entry.address.version >= wanted.version:
                any_address.add(entry.uid)
    return exact or any_address
