"""What the kernel counts for one socket of ours: SO_MEMINFO (Linux 4.12)."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

# asm-generic/socket.h; linux/sock_diag.h, SK_MEMINFO_*: nine numbers in this order.
SO_MEMINFO = 55
_MEMORY = struct.Struct("=9I")
_WAITING, _DROPS = 0, 8

# The counter of drops has 32 bits.
WRAP = 1 << 32


class SocketMemory(NamedTuple):
    """``waiting`` are the bytes that the kernel holds for it to be received; ``drops`` is modulo
    2^32: datagrams, or SYNs of a listening socket, that it did not take."""

    waiting: int
    drops: int


def socket_memory(sock: socket.socket) -> SocketMemory:
    """Reads both. Raises OSError."""
    numbers = _MEMORY.unpack(sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMORY.size))
    return SocketMemory(numbers[_WAITING], numbers[_DROPS])
