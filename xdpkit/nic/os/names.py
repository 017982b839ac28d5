"""An interface's index by any of its names, and its name now: names change, indexes do not.

Altnames (``ip link property add dev eth1 altname NAME``) may have up to 127 bytes; the ioctls know
only those of up to 15.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from xdpkit.nic.os import netlink

# linux/if.h, with the terminating zero.
IFNAMSIZ = 16
# linux/rtnetlink.h and linux/if_link.h (IFLA_ALT_IFNAME: Linux 5.5).
RTM_GETLINK = 18
IFLA_ALT_IFNAME = 53
# linux/sockios.h, and its struct ifreq: a name, and an index in a union of 24 bytes.
SIOCGIFNAME, SIOCGIFINDEX = 0x8910, 0x8933
_NAME_OR_INDEX = struct.Struct("=16si20x")
# struct ifinfomsg: family, type, index, flags, change mask.
_LINK = struct.Struct("=BxHiII")


def index_of(name: str) -> int:
    """The index of the interface with this name or altname. Raises OSError: ENODEV without one."""
    encoded = os.fsencode(name)
    if len(encoded) >= IFNAMSIZ:
        return _index_by_altname(name)
    return int(_NAME_OR_INDEX.unpack(_ask(SIOCGIFINDEX, encoded, 0))[1])


def name_of(index: int) -> str:
    """The interface's name now. Raises OSError: ENODEV if it is not in this namespace."""
    if not 0 < index < 1 << 31:
        raise _gone()
    return os.fsdecode(_NAME_OR_INDEX.unpack(_ask(SIOCGIFNAME, b"", index))[0].rstrip(b"\0"))


def _ask(number: int, name: bytes, index: int) -> bytes:
    # Not if_nametoindex(3): for Python, all its failures are an interface that there is not.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        return fcntl.ioctl(control, number, _NAME_OR_INDEX.pack(name, index))


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
