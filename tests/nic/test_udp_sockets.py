"""Other users of a port, from the kernel's live tables of UDP sockets."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from xdpkit.nic.os import udp_sockets as port_watch


@pytest.mark.parametrize(
    "family, address, table",
    [
        (socket.AF_INET, "127.0.0.1", "udp"),
        (socket.AF_INET, "0.0.0.0", "udp"),
        (socket.AF_INET6, "::1", "udp6"),
        (socket.AF_INET6, "::", "udp6"),
    ],
)
def test_a_socket_is_found_at_its_address(
    family: socket.AddressFamily, address: str, table: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as holder:
        holder.bind((address, 0))
        port = holder.getsockname()[1]
        lines = Path("/proc/net", table).read_text().splitlines()[1:]
        assert port_watch.holders(lines, port, []) == [ip_address(address)]
        assert port_watch.holders(lines, port, [os.fstat(holder.fileno()).st_ino]) == []
        elsewhere = [ip_address("192.0.2.1")]
        # A wildcard socket receives packets for any of our addresses, others only for their own.
        assert port_watch.is_held(port, [], elsewhere) == ip_address(address).is_unspecified
        assert port_watch.is_held(port, [], [ip_address(address)])


def test_a_connected_socket_does_not_conflict() -> None:
    """It receives only its own peer's datagrams, whatever sockets we have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.connect(("127.0.0.1", 9))
        port = holder.getsockname()[1]
        assert not port_watch.is_held(port, [], [ip_address("127.0.0.1")])
