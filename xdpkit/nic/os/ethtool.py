"""SIOCETHTOOL ioctls, for what pyroute2's ethtool family or old kernels' netlink lacks.

All act in the calling thread's network namespace, raise OSError with the driver's errno
(EOPNOTSUPP: not supported), and need no privilege to read. The structures are those of
``linux/ethtool.h``. Offloads, RSS and rules: ``ethtool_features``, ``_rss`` and ``_rxnfc.py``.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import socket
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import TypeVar

from xdpkit.nic.os import ethtool_netlink
from xdpkit.nic.os.ethtool_netlink import explained

# linux/sockios.h and linux/ethtool.h.
SIOCETHTOOL = 0x8946
SIOCGIFHWADDR = 0x8927
ETHTOOL_GDRVINFO = 0x03
ETHTOOL_GCOALESCE = 0x0E
ETHTOOL_GRINGPARAM = 0x10
ETHTOOL_STXCSUM = 0x17
ETHTOOL_GPERMADDR = 0x20
ETHTOOL_GCHANNELS = 0x3C
ETHTOOL_SCHANNELS = 0x3D
ETHTOOL_GET_TS_INFO = 0x41

# struct ethtool_drvinfo: cmd, driver, version, firmware, bus; the rest is ignored.
_DRVINFO = struct.Struct("=I32s32s32s32s64x")
# struct ethtool_channels: cmd; maximum of rx, tx, other, combined; current count of each.
_CHANNELS = struct.Struct("=9I")
# struct ethtool_ringparam: cmd; maximum of rx, mini, jumbo, tx; current length of each.
_RINGS = struct.Struct("=9I")
# struct ethtool_coalesce: cmd, and 22 numbers.
_COALESCE = struct.Struct("=23I")
# struct ethtool_ts_info: cmd, so_timestamping, phc_index, tx_types, 3 reserved, rx_filters, 3 more.
_TS_INFO = struct.Struct("=IIiI12xI12x")
# linux/netdevice.h MAX_ADDR_LEN: the longest hardware address.
_ADDRESS_BYTES = 32

T = TypeVar("T")


@dataclass(frozen=True)
class Driver:
    """What ``ethtool -i`` shows."""

    name: str
    version: str
    firmware: str
    bus: str


@dataclass(frozen=True)
class Channels:
    """Channels (queues with an interrupt) by use: receive, transmit, other, or both ways."""

    rx: int
    tx: int
    other: int
    combined: int

    @property
    def receiving(self) -> int:
        """The number of RX queues."""
        return self.rx + self.combined


@dataclass(frozen=True)
class Rings:
    """Descriptors in each RX and TX ring, now and at most: ``ethtool -g``."""

    rx: int
    tx: int
    most_rx: int
    most_tx: int


@dataclass(frozen=True)
class Coalescing:
    """How long the NIC delays an interrupt (coalescing): ``ethtool -c``."""

    rx_usecs: int
    rx_frames: int
    tx_usecs: int
    tx_frames: int
    adaptive_rx: bool
    adaptive_tx: bool


@dataclass(frozen=True)
class Timestamping:
    """What ``ethtool -T`` shows: bits of linux/net_tstamp.h, and the N of /dev/ptpN or -1."""

    so_timestamping: int
    phc_index: int
    tx_types: int
    rx_filters: int


def if_supported(read: Callable[[str], T], ifname: str) -> T | None:
    """What a function of these modules reads; None where the driver does not support it."""
    try:
        return read(ifname)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            return None
        raise


def set_tx_checksums(ifname: str, on: bool) -> None:
    """Turns transmit checksum offload on or off: ``ethtool -K IFNAME tx on|off``."""
    # struct ethtool_value { u32 cmd; u32 data; }
    command(ifname, struct.pack("=II", ETHTOOL_STXCSUM, int(on)))


def driver(ifname: str) -> Driver:
    """The interface's driver: ``ethtool -i IFNAME``."""
    _, *texts = _DRVINFO.unpack(command(ifname, _DRVINFO.pack(ETHTOOL_GDRVINFO, *[b""] * 4)))
    return Driver(*(text.split(b"\0")[0].decode("utf-8", "replace") for text in texts))


def channels(ifname: str) -> tuple[Channels, Channels]:
    """Current and maximum channels: ``ethtool -l IFNAME``."""
    _, *numbers = _CHANNELS.unpack(command(ifname, _CHANNELS.pack(ETHTOOL_GCHANNELS, *[0] * 8)))
    return Channels(*numbers[4:]), Channels(*numbers[:4])


def set_channels(ifname: str, wanted: Channels) -> None:
    """Sets the channels: ``ethtool -L IFNAME``. Many drivers drop the link for a moment."""
    with explained(lambda: ethtool_netlink.set_channels(ifname, *astuple(wanted))):
        command(ifname, _CHANNELS.pack(ETHTOOL_SCHANNELS, *[0] * 4, *astuple(wanted)))


def rings(ifname: str) -> Rings:
    """The lengths of the rings: ``ethtool -g IFNAME``."""
    numbers = _RINGS.unpack(command(ifname, _RINGS.pack(ETHTOOL_GRINGPARAM, *[0] * 8)))
    return Rings(rx=numbers[5], tx=numbers[8], most_rx=numbers[1], most_tx=numbers[4])


def coalescing(ifname: str) -> Coalescing:
    """The interrupt coalescing: ``ethtool -c IFNAME``."""
    numbers = _COALESCE.unpack(command(ifname, _COALESCE.pack(ETHTOOL_GCOALESCE, *[0] * 22)))
    return Coalescing(
        rx_usecs=numbers[1],
        rx_frames=numbers[2],
        tx_usecs=numbers[5],
        tx_frames=numbers[6],
        adaptive_rx=bool(numbers[10]),
        adaptive_tx=bool(numbers[11]),
    )


def timestamping(ifname: str) -> Timestamping:
    """Which packets the interface can timestamp, and by which clock: ``ethtool -T IFNAME``."""
    request = _TS_INFO.pack(ETHTOOL_GET_TS_INFO, 0, -1, 0, 0)
    return Timestamping(*_TS_INFO.unpack(command(ifname, request))[1:])


def phc_index(ifname: str) -> int:
    """The N of /dev/ptpN, the clock of the hardware timestamps, or -1: ``ethtool -T IFNAME``."""
    return timestamping(ifname).phc_index


def hardware_address(ifname: str) -> bytes:
    """The permanent hardware address or, where there is none, the current one."""
    # struct ethtool_perm_addr: cmd, size, data[].
    head = struct.Struct("=II")
    request = head.pack(ETHTOOL_GPERMADDR, _ADDRESS_BYTES) + bytes(_ADDRESS_BYTES)
    answer = command(ifname, request)
    permanent = answer[head.size :][: head.unpack_from(answer)[1]]
    if any(permanent):
        return permanent
    # struct ifreq: the name, then struct sockaddr: 2 bytes of family, and the address.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, SIOCGIFHWADDR, struct.pack("40s", ifname.encode()))
    return answer[18:24]


def command(ifname: str, structure: bytes) -> bytes:
    """Runs one SIOCETHTOOL command, a structure that begins with its number; returns the reply."""
    return interface_ioctl(SIOCETHTOOL, ifname, structure)


def interface_ioctl(number: int, ifname: str, structure: bytes) -> bytes:
    """Passes one structure, in host byte order, to an interface's driver; returns the reply.

    Raises OSError.
    """
    data = ctypes.create_string_buffer(structure, len(structure))
    # struct ifreq: the name and a pointer to the structure, in a union of 24 bytes.
    request = struct.pack("16sP16x", ifname.encode(), ctypes.addressof(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, number, request)
    return data.raw
