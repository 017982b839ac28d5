"""A classic BPF filter for IPv6 sockets: drops requests off the wire with our own source address.

The kernel drops such martians for IPv4, but not for IPv6, and a datagram's ancillary data cannot
tell them from a local client's, which rightly has our address. The receiving device can: it is lo
for a local client (linux Documentation/networking/filter.rst, "ancillary data").
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterable
from ipaddress import IPv6Address

# asm-generic/socket.h, linux/filter.h.
SO_ATTACH_FILTER = 26
SKF_AD_IFINDEX = 0xFFFFF000 + 8
SKF_NET_OFF = 0xFFF00000
# BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K.
LOAD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
WHOLE, NOTHING = 0xFFFFFFFF, 0
LOOPBACK_IFINDEX = 1
# Offset of the source address in the IPv6 header: RFC 8200 section 3.
SOURCE = 8
# BPF_MAXINSNS is 4096; an address takes nine instructions.
MOST_ADDRESSES = 400

Instruction = tuple[int, int, int, int]


def program(own: Iterable[IPv6Address]) -> list[Instruction]:
    """The filter's instructions as (code, jump if true, jump if false, constant)."""
    code: list[Instruction] = [
        (LOAD, 0, 0, SKF_AD_IFINDEX),
        (JUMP_EQUAL, 0, 1, LOOPBACK_IFINDEX),
        (RETURN, 0, 0, WHOLE),
    ]
    for address in list(own)[:MOST_ADDRESSES]:
        words = struct.unpack("!4I", address.packed)
        for index, word in enumerate(words):
            code.append((LOAD, 0, 0, SKF_NET_OFF + SOURCE + 4 * index))
            # On mismatch jump to the next address; after the last word comes the return.
            code.append((JUMP_EQUAL, 0, 7 - 2 * index, word))
        code.append((RETURN, 0, 0, NOTHING))
    code.append((RETURN, 0, 0, WHOLE))
    return code


def attach(sock: socket.socket, own: Iterable[IPv6Address]) -> None:
    """Attaches the filter to a socket, replacing an older one. Raises OSError."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program(own))
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: length in instructions, pointer.
    sock.setsockopt(
        socket.SOL_SOCKET,
        SO_ATTACH_FILTER,
        struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)),
    )
