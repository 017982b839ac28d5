"""The kernel's own answers about sockets: sock_diag(7).

Beside /proc/net, whose tables have every socket of a network namespace: any user can open so many
that reading one takes the kernel minutes. Asked here is for those of a port, or for one.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import NamedTuple

from xdpkit.config.address import Address
from xdpkit.nic.os import netlink

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h (INET_DIAG_NOCOOKIE).
NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
_NO_COOKIE = 0xFFFFFFFF
# Of every network namespace: LOOPBACK_IFINDEX of include/net/net_namespace.h.
_LOOPBACK = 1

# struct inet_diag_req_v2 without its id: family, protocol, extensions, states.
_REQUEST = struct.Struct("=BBBxI")
# struct inet_diag_sockid: the ports and addresses of both ends, interface, cookie.
_ID = struct.Struct("!HH16s16s")
_ID_REST = struct.Struct("=III")
# struct inet_diag_msg: family, state, timer, retransmissions, its id, expires, rqueue, wqueue, uid,
# inode.
_ID_AT = 4
_USER_AND_INODE = struct.Struct("=II")
_USER_AT = _ID_AT + _ID.size + _ID_REST.size + 12

Endpoint = tuple[str, int]

_BYTES = {socket.AF_INET: 4, socket.AF_INET6: 16}


class Entry(NamedTuple):
    """A socket: where it is bound, its user's ID and its inode."""

    address: Address
    port: int
    uid: int
    inode: int


def receiver_user(sender: Endpoint, receiver: Endpoint) -> int | None:
    """The user whose UDP socket gets a datagram over the loopback interface; None for none.

    None also where the kernel cannot be asked.
    """
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
    return int(_USER_AND_INODE.unpack_from(answer, _USER_AT)[0])


def on_port(family: socket.AddressFamily, protocol: int, state: int, port: int) -> list[Entry]:
    """The sockets in a state (linux/tcp_states.h) that are bound to a port. Raises OSError."""
    request = (
        _REQUEST.pack(family, protocol, 0, 1 << state)
        + _ID.pack(port, 0, b"", b"")
        + _ID_REST.pack(0, _NO_COOKIE, _NO_COOKIE)
    )
    with netlink.open_socket(NETLINK_SOCK_DIAG) as kernel:
        found = netlink.dump(kernel, SOCK_DIAG_BY_FAMILY, request)
        return list(_entries(found, _BYTES[family]))


def _entries(found: Iterator[tuple[int, bytes]], address_bytes: int) -> Iterator[Entry]:
    for _, body in found:
        port, _, local, _ = _ID.unpack_from(body, _ID_AT)
        user, inode = _USER_AND_INODE.unpack_from(body, _USER_AT)
        yield Entry(ip_address(local[:address_bytes]), port, user, inode)
