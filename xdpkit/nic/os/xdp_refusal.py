"""Why the kernel or a driver will not have an XDP program, in their own words.

A bpf_link's refusal is a number. The same request over rtnetlink goes through the same checks
(linux net/core/dev.c, dev_xdp_attach), and its acknowledgment has the text.
"""

from __future__ import annotations

import struct
from contextlib import suppress

from xdpkit.nic.os.netlink import (
    NETLINK_ROUTE,
    NLM_F_ACK,
    NetlinkError,
    attribute,
    attributes,
    exchange,
    nested,
    open_socket,
)

# linux/rtnetlink.h and linux/if_link.h.
RTM_GETLINK, RTM_SETLINK = 18, 19
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_ATTACHED, IFLA_XDP_FLAGS, IFLA_XDP_EXPECTED_FD = 43, 1, 2, 3, 8
XDP_FLAGS_UPDATE_IF_NOEXIST, XDP_FLAGS_REPLACE = 1 << 0, 1 << 4
# struct ifinfomsg: family, type, index, flags, change.
_IFINFO = struct.Struct("=BxHiII")


def words(ifindex: int, program_fd: int, mode: int) -> str:
    """The text for a program that a link could not attach in a mode (XDP_FLAGS_*_MODE).

    Empty where there is none, or if it is accepted after all: then it is detached at once.
    """
    try:
        _set(ifindex, program_fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST)
    except NetlinkError as refusal:
        return refusal.words
    except OSError:
        return ""
    with suppress(OSError):
        expected = attribute(IFLA_XDP_EXPECTED_FD, struct.pack("=i", program_fd))
        _set(ifindex, -1, mode | XDP_FLAGS_REPLACE, expected)
    return ""


def has_program(ifindex: int) -> bool:
    """Whether an XDP program is on an interface now; False where that is unknown."""
    try:
        with open_socket(NETLINK_ROUTE) as netlink:
            reply = exchange(netlink, RTM_GETLINK, _IFINFO.pack(0, 0, ifindex, 0, 0))
    except OSError:
        return False
    xdp = dict(attributes(reply[_IFINFO.size :])).get(IFLA_XDP, b"")
    return any(dict(attributes(xdp)).get(IFLA_XDP_ATTACHED, b""))


def _set(ifindex: int, program_fd: int, flags: int, more: bytes = b"") -> None:
    xdp = nested(
        IFLA_XDP,
        attribute(IFLA_XDP_FD, struct.pack("=i", program_fd)),
        attribute(IFLA_XDP_FLAGS, struct.pack("=I", flags)),
        more,
    )
    with open_socket(NETLINK_ROUTE) as netlink:
        exchange(netlink, RTM_SETLINK, _IFINFO.pack(0, 0, ifindex, 0, 0) + xdp, NLM_F_ACK)
