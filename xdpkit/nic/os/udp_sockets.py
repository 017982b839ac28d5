"""Finds other programs on this host with unconnected sockets on a port that we serve.

The operator's chronyd may send its own requests from port 123 (``acquisitionport 123``). The XDP
program passes the replies to the kernel, which delivers them to the most specifically bound socket:
the slow path's. So where such a program runs, the slow path leaves the port to it.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path

from xdpkit.config.address import Address
from xdpkit.nic.os import sock_diag
from xdpkit.nic.os.sock_diag import Entry

# The state of an unconnected socket: TCP_CLOSE in Linux include/net/tcp_states.h.
UNCONNECTED = "07"

TABLES = (Path("/proc/net/udp"), Path("/proc/net/udp6"))


def is_held(port: int, ours: Collection[int], addresses: Collection[Address]) -> bool:
    """Whether a datagram to ``port`` at ``addresses`` may be meant for a socket that is not ours.

    ``ours`` are the inodes of our sockets. Reads the tables of this network namespace.
    """
    return any(
        each.address in addresses or each.address.is_unspecified
        for each in on_port(port)
        if each.inode not in ours
    )


def on_port(port: int) -> list[Entry]:
    """The unconnected sockets on a port, in this network namespace. Raises OSError."""
    try:
        return [
            each
            for family in (socket.AF_INET, socket.AF_INET6)
            for each in sock_diag.on_port(family, socket.IPPROTO_UDP, int(UNCONNECTED, 16), port)
        ]
    except OSError:
        # The kernel has no udp_diag, or may not load it.
        return [each for lines in tables() for each in entries(lines, UNCONNECTED, (port,))]


def tables() -> Iterator[list[str]]:
    """The lines of /proc/net/udp and udp6 of this network namespace. Raises OSError."""
    for table in TABLES:
        try:
            yield table.read_text("ascii").splitlines()[1:]
        except FileNotFoundError:
            # A kernel without IPv6.
            continue


def holders(lines: Iterable[str], port: int, ours: Collection[int]) -> list[Address]:
    """Local addresses of unconnected sockets on ``port``, from lines of /proc/net/udp or udp6."""
    found = entries(lines, UNCONNECTED, (port,))
    return [entry.address for entry in found if entry.inode not in ours]


def entries(lines: Iterable[str], state: str, ports: Collection[int]) -> Iterator[Entry]:
    """The sockets with this state and one of these ports, from lines of a /proc/net table."""
    for line in lines:
        fields = line.split()
        address, _, text_port = fields[1].partition(":")
        if fields[3] == state and (port := int(text_port, 16)) in ports:
            yield Entry(parse_proc_address(address), port, int(fields[7]), int(fields[9]))


def parse_proc_address(text: str) -> Address:
    """Parses an address of /proc/net: 32-bit words in network order, printed in host order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    return ip_address(struct.pack(f"={len(words)}I", *words))
