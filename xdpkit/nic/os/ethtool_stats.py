"""The driver's own counters (``ethtool -S``), and the kernel's of an interface.

Both act in the calling thread's network namespace, need no privilege, and raise OSError.
"""

from __future__ import annotations

import struct

from xdpkit.nic.os.ethtool import command
from xdpkit.nic.os.netlink import NETLINK_ROUTE, attributes, exchange, open_socket

# linux/ethtool.h.
ETHTOOL_GSTRINGS, ETHTOOL_GSTATS, ETHTOOL_GSSET_INFO = 0x1B, 0x1D, 0x37
ETH_SS_STATS = 1
ETH_GSTRING_LEN = 32
# More counters than any driver has: some have a dozen for each of a hundred queues.
_MOST = 1 << 16

# struct ethtool_sset_info with room for one length; struct ethtool_gstrings and ethtool_stats.
_SSET_INFO = struct.Struct("=IIQI")
_GSTRINGS = struct.Struct("=III")
_GSTATS = struct.Struct("=II")

# linux/rtnetlink.h and linux/if_link.h.
RTM_GETLINK, IFLA_STATS64 = 18, 23
# struct ifinfomsg: family, type, index, flags, change mask.
_LINK = struct.Struct("=BxHiII")
# The fields of struct rtnl_link_stats64, from the first on.
_LINK_STATS = (
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_fifo_errors",
    "rx_missed_errors",
)


def driver_statistics(ifname: str) -> dict[str, int]:
    """What ``ethtool -S IFNAME`` shows, in the driver's words; nothing if it counts nothing."""
    asked = _SSET_INFO.pack(ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_STATS, 0)
    _, _, known, count = _SSET_INFO.unpack(command(ifname, asked))
    if not known or not 0 < count <= _MOST:
        return {}
    head = _GSTRINGS.pack(ETHTOOL_GSTRINGS, ETH_SS_STATS, count)
    text = command(ifname, head + bytes(count * ETH_GSTRING_LEN))[_GSTRINGS.size :]
    names = [
        text[at : at + ETH_GSTRING_LEN].split(b"\0")[0].decode("ascii", "replace").strip()
        for at in range(0, count * ETH_GSTRING_LEN, ETH_GSTRING_LEN)
    ]
    head = _GSTATS.pack(ETHTOOL_GSTATS, count)
    values = command(ifname, head + bytes(count * 8))[_GSTATS.size :]
    return dict(zip(names, struct.unpack(f"={count}Q", values), strict=True))


def link_statistics(ifindex: int) -> dict[str, int]:
    """The interface's counters, ``ip -s -s link``; their meaning is the same for all drivers.

    Linux ``Documentation/networking/statistics.rst``.
    """
    with open_socket(NETLINK_ROUTE) as kernel:
        reply = exchange(kernel, RTM_GETLINK, _LINK.pack(0, 0, ifindex, 0, 0))
    found = dict(attributes(reply[_LINK.size :])).get(IFLA_STATS64, b"")
    if len(found) < 8 * len(_LINK_STATS):
        return {}
    return dict(zip(_LINK_STATS, struct.unpack_from(f"={len(_LINK_STATS)}Q", found), strict=True))
