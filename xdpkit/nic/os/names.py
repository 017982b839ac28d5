"""An interface's index by any of its names, and its name now: names change, indexes do not.

Altnames (``ip link property add dev eth1 altname NAME``) may have up to 127 bytes; the ioctls
behind if_nametoindex(3) know only those of up to 15.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from xdpkit.nic.os import netlink

# linux/if.h, with the terminating zero.
IFNAMSIZ = 16
# linux/rtnetlink.h and linux/if_link.h (IFLA_ALT_IFNAME: Linux 5.5).
RTM_GETLINK = 18
IFLA_ALT_IFNAME = 53
# struct ifinfomsg: family, type, index, flags, change mask.
_LINK = struct.Struct("=BxHiII")


def index_of(name: str) -> int:
    """The index of the interface with this name or altname. Raises OSError: ENODEV without one."""
    if len(os.fsencode(name)) < IFNAMSIZ:
        try:
            return socket.if_nametoindex(name)
        except OSError as error:
            raise _gone() from error
    return _index_by_altname(name)


def name_of(index: int) -> str:
    """The interface's name now. Raises OSError: ENODEV if it is not in this namespace."""
    try:
        return socket.if_indextoname(index)
    except (OSError, OverflowError) as error:
        raise _gone() from error


def current(name: str) -> str:
    """The name of the interface that is called so; the same if there is none."""
    try:
        return name_of(index_of(name))
    except (OSError, ValueError):
        return name


def _index_by_altname(name: str) -> int:
    body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    body += netlink.attribute(IFLA_ALT_IFNAME, os.fsencode(name) + b"\0")
    with netlink.open_socket(netlink.NETLINK_ROUTE) as kernel:
        try:
            answer = netlink.exchange(kernel, RTM_GETLINK, body)
        except netlink.NetlinkError as error:
            # ENODEV; EINVAL or ERANGE from a kernel that has no altnames, or not so long ones.
            raise _gone() from error
    index: int = _LINK.unpack_from(answer)[2]
    return index


def _gone() -> OSError:
    return OSError(errno.ENODEV, os.strerror(errno.ENODEV))
