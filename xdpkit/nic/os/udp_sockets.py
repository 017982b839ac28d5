"""Finds other programs on this host with unconnected sockets on a port that we serve.

The operator's chronyd may send its own requests from port 123 (``acquisitionport 123``). The XDP
program passes the replies to the kernel, which delivers them to the most specifically bound socket:
the slow path's. So where such a program runs, the slow path leaves the port to it.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable
from ipaddress import ip_address
from pathlib import Path

from xdpkit.config.address import Address

# The state of an unconnected socket: TCP_CLOSE in Linux include/net/tcp_states.h.
UNCONNECTED = "07"

TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


def is_held(port: int, ours: Collection[int], addresses: Collection[Address]) -> bool:
    """Whether a datagram to ``port`` at ``addresses`` may be meant for a socket that is not ours.

    ``ours`` are the inodes of our sockets. Reads the tables of this network namespace.
    """
    for table in TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except FileNotFoundError:
            # A kernel without IPv6.
            continue
        if any(
            holder in addresses or holder.is_unspecified for holder in holders(lines, port, ours)
        ):
            return True
    return False


def holders(lines: Iterable[str], port: int, ours: Collection[int]) -> list[Address]:
    """Local addresses of unconnected sockets on ``port``, from lines of /proc/net/udp or udp6."""
    found = []
    for line in lines:
        fields = line.split()
        local, state, inode = fields[1], fields[3], int(fields[9])
        address, _, text_port = local.partition(":")
        if int(text_port, 16) == port and state == UNCONNECTED and inode not in ours:
            found.append(parse_proc_address(address))
    return found


def parse_proc_address(text: str) -> Address:
    """Parses an address of /proc/net: 32-bit words in network order, printed in host order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return ip_address(struct.pack(f"={len(words)}I", *words))
