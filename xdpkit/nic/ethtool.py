"""SIOCETHTOOL ioctls, for what pyroute2's ethtool family lacks or old kernels do not have."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

# linux/sockios.h and linux/ethtool.h.
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17
ETHTOOL_GET_TS_INFO = 0x41

# struct ethtool_ts_info: cmd, so_timestamping, phc_index; types and filters, not looked at.
_TS_INFO = struct.Struct("=IIi32x")


def set_tx_checksums(ifname: str, on: bool) -> None:
    """Turns transmit checksum offload on or off: ``ethtool -K IFNAME tx on|off``.

    Acts in the calling thread's network namespace. Raises OSError.
    """
    # struct ethtool_value { u32 cmd; u32 data; }
    _ioctl(ifname, struct.pack("=II", ETHTOOL_STXCSUM, int(on)))


def phc_index(ifname: str) -> int:
    """N of /dev/ptpN, the clock of an interface's hardware stamps, or -1: ``ethtool -T IFNAME``.

    Acts in the calling thread's network namespace. Raises OSError.
    """
    answer = _ioctl(ifname, _TS_INFO.pack(ETHTOOL_GET_TS_INFO, 0, -1))
    index: int = _TS_INFO.unpack(answer)[2]
    return index


def _ioctl(ifname: str, command: bytes) -> bytes:
    return interface_ioctl(SIOCETHTOOL, ifname, command)


def interface_ioctl(number: int, ifname: str, structure: bytes) -> bytes:
    """Hands an interface's driver one structure, in host order; returns it as the kernel left it.

    Raises OSError.
    """
    data = ctypes.create_string_buffer(structure, len(structure))
    # struct ifreq: the name and a pointer to the structure, in a union of 24 bytes.
    request = struct.pack("16sP16x", ifname.encode(), ctypes.addressof(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, number, request)
    return data.raw
