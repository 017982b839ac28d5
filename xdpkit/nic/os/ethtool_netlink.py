"""Settings over the ethtool netlink family, for the one thing that the ioctls lack: the reason.

A driver explains a refusal in an extended acknowledgment, which an ioctl has no place for. So what
an ioctl was refused is asked for once more over netlink. See
linux ``Documentation/networking/ethtool-netlink.rst``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xdpkit.nic.os.netlink import (
    NETLINK_GENERIC,
    NLM_F_ACK,
    NetlinkError,
    attribute,
    family_id,
    generic,
    nested,
    open_socket,
)

# linux/ethtool_netlink.h. Each request begins with a header, which names the device.
HEADER, DEV_NAME = 1, 2
ETHTOOL_MSG_FEATURES_SET, ETHTOOL_A_FEATURES_WANTED = 12, 3
ETHTOOL_MSG_CHANNELS_SET = 18
# ETHTOOL_A_CHANNELS_RX_COUNT, and after it of tx, other and combined.
ETHTOOL_A_CHANNELS_RX_COUNT = 6
BITSET_BITS, BITS_BIT, BIT_NAME, BIT_VALUE = 3, 1, 2, 3


@contextmanager
def explained(again: Callable[[], None]) -> Iterator[None]:
    """If the block is refused, asks ``again`` over netlink, for the driver's words.

    If that is refused with the same errno, the error is raised with what it says; an error that
    netlink cannot explain stays as it is. Raises OSError.
    """
    try:
        yield
    except OSError as error:
        try:
            again()
        except NetlinkError as refusal:
            if refusal.words and refusal.errno == error.errno:
                raise refusal from error
            raise error from None
        except OSError:
            raise error from None


def set_channels(ifname: str, rx: int, tx: int, other: int, combined: int) -> None:
    """``ethtool -L``. Raises NetlinkError, and OSError where the kernel lacks the family."""
    counts = (
        attribute(ETHTOOL_A_CHANNELS_RX_COUNT + place, struct.pack("=I", count))
        for place, count in enumerate((rx, tx, other, combined))
    )
    _set(ifname, ETHTOOL_MSG_CHANNELS_SET, b"".join(counts))


def set_feature(ifname: str, name: str, on: bool) -> None:
    """``ethtool -K``. Raises NetlinkError, and OSError where the kernel lacks the family."""
    value = [attribute(BIT_VALUE, b"")] if on else []
    bit = nested(BITS_BIT, attribute(BIT_NAME, name.encode() + b"\0"), *value)
    _set(
        ifname,
        ETHTOOL_MSG_FEATURES_SET,
        nested(ETHTOOL_A_FEATURES_WANTED, nested(BITSET_BITS, bit)),
    )


def _set(ifname: str, message: int, body: bytes) -> None:
    with open_socket(NETLINK_GENERIC) as netlink:
        family = family_id(netlink, "ethtool")
        if family is None:
            raise OSError("this kernel has no ethtool family")  # before Linux 5.6
        header = nested(HEADER, attribute(DEV_NAME, ifname.encode() + b"\0"))
        generic(netlink, family, message, header + body, NLM_F_ACK)
