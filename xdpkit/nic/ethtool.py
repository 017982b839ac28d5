"""SIOCETHTOOL ioctls, for what pyroute2's ethtool family lacks or old kernels do not have."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct

# linux/sockios.h and linux/ethtool.h.
SIOCETHTOOL = 0x8946
ETHTOOL_STXCSUM = 0x17


def set_tx_checksums(ifname: str, on: bool) -> None:
    """Turns transmit checksum offload on or off: ``ethtool -K IFNAME tx on|off``.

    Acts in the calling thread's network namespace. Raises OSError.
    """
    # struct ethtool_value { u32 cmd; u32 data; }
    _ioctl(ifname, struct.pack("=II", ETHTOOL_STXCSUM, int(on)))


def _ioctl(ifname: str, command: bytes) -> bytes:
    """Runs one ethtool command structure, in host order, and returns it as the kernel left it."""
    data = ctypes.create_string_buffer(command, len(command))
    # struct ifreq: the name and a pointer to the command, in a union of 24 bytes.
    request = struct.pack("16sP16x", ifname.encode(), ctypes.addressof(data))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, request)
    return data.raw
