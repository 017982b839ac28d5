"""Which user's socket would receive a datagram that we send to this host.

The kernel is asked to look for the receiver as it does for a datagram (sock_diag(7), udp_dump_one
in Linux net/ipv4/udp_diag.c). Where it lacks that, /proc/net/udp and udp6 say whose sockets are
bound to the port, and which address counts most.
"""

from __future__ import annotations

from ipaddress import ip_address

from xdpkit.nic.os.sock_diag import Endpoint, receiver_user
from xdpkit.nic.os.udp_sockets import UNCONNECTED, entries, tables


def receiver_users(sender: Endpoint, receiver: Endpoint) -> set[int]:
    """The users whose socket a datagram over the loopback interface may reach; empty for none.

    One, where the kernel says. Raises OSError where neither can be read.
    """
    found = receiver_user(sender, receiver)
    if found is not None:
        return {found}
    # Not so the tables, if it can be asked at all: it knows at least who gets the answer.
    return set() if receiver_user(receiver, sender) is not None else _read_tables(receiver)


def _read_tables(receiver: Endpoint) -> set[int]:
    """The users of the sockets that are bound to the address or, else, to every address."""
    wanted = ip_address(receiver[0])
    exact: set[int] = set()
    any_address: set[int] = set()
    for lines in tables():
        for entry in entries(lines, UNCONNECTED, (receiver[1],)):
            if entry.address == wanted:
                exact.add(entry.uid)
            elif entry.address.is_unspecified and entry.address.version >= wanted.version:
                any_address.add(entry.uid)
    return exact or any_address
