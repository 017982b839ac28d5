"""The generic netlink family "netdev": what XDP can do on an interface (Linux 6.3).

Linux ``Documentation/netlink/specs/netdev.yaml``; messages are in host byte order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xdpkit.nic.os.netlink import (
    NETLINK_GENERIC,
    attribute,
    attributes,
    family_id,
    generic,
    open_socket,
)

# linux/netdev.h.
NETDEV_CMD_DEV_GET = 1
NETDEV_A_DEV_IFINDEX, NETDEV_A_DEV_XDP_FEATURES, NETDEV_A_DEV_XDP_ZC_MAX_SEGS = 1, 3, 4
NETDEV_A_DEV_XDP_RX_METADATA_FEATURES, NETDEV_A_DEV_XSK_FEATURES = 5, 6
NETDEV_XDP_RX_METADATA_TIMESTAMP = 1
# enum netdev_xdp_act, what the driver supports natively: bits 0 to 6.
XDP_ACTS = ("basic", "redirect", "ndo-xmit", "xsk-zerocopy", "hw-offload", "rx-sg", "ndo-xmit-sg")
# enum netdev_xdp_rx_metadata and netdev_xsk_flags.
RX_METADATA = ("timestamp", "hash", "vlan-tag")
XSK_FLAGS = ("tx-timestamp", "tx-checksum", "tx-launch-time-fifo")


@dataclass(frozen=True)
class Features:
    """What a driver reports about itself, by the names in the kernel's specification.

    Where ``acts`` lacks "basic" there is no native XDP. None: the kernel is too old to report it.
    """

    acts: tuple[str, ...]
    zc_max_segs: int | None = None
    rx_metadata: tuple[str, ...] | None = None
    xsk: tuple[str, ...] | None = None


def features(ifindex: int) -> Features | None:
    """What XDP can do on an interface; None where the kernel is too old to report it (before 6.3).

    Raises OSError: ENODEV if there is no such interface.
    """
    device = _device(ifindex)
    if device is None:
        return None
    segments = device.get(NETDEV_A_DEV_XDP_ZC_MAX_SEGS)
    return Features(
        acts=_names(device.get(NETDEV_A_DEV_XDP_FEATURES), XDP_ACTS) or (),
        zc_max_segs=struct.unpack("=I", segments)[0] if segments else None,
        rx_metadata=_names(device.get(NETDEV_A_DEV_XDP_RX_METADATA_FEATURES), RX_METADATA),
        xsk=_names(device.get(NETDEV_A_DEV_XSK_FEATURES), XSK_FLAGS),
    )


def offers_rx_timestamp(ifindex: int) -> bool | None:
    """Whether the driver claims to give XDP programs the hardware receive timestamp.

    None where the kernel is too old to report it (before 6.7). Raises OSError: ENODEV if there is
    no such interface.
    """
    offered = (_device(ifindex) or {}).get(NETDEV_A_DEV_XDP_RX_METADATA_FEATURES)
    if offered is None:
        return None
    return bool(struct.unpack("=Q", offered)[0] & NETDEV_XDP_RX_METADATA_TIMESTAMP)


def _device(ifindex: int) -> dict[int, bytes] | None:
    """The attributes of NETDEV_CMD_DEV_GET; None where the kernel lacks the family."""
    with open_socket(NETLINK_GENERIC) as netlink:
        family = family_id(netlink, "netdev")
        if family is None:
            return None
        index = attribute(NETDEV_A_DEV_IFINDEX, struct.pack("=I", ifindex))
        return dict(attributes(generic(netlink, family, NETDEV_CMD_DEV_GET, index)))


def _names(bits: bytes | None, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The names of the bits that are set, lowest first; bits without a name are left out."""
    if bits is None:
        return None
    [mask] = struct.unpack("=Q", bits)
    return tuple(name for bit, name in enumerate(names) if mask >> bit & 1)
