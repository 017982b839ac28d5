"""Other users of a port, from the kernel's live tables of UDP sockets."""

from __future__ import annotations

import os
import socket
from ipaddress import ip_address
from pathlib import Path

import pytest

from xdpkit.nic.os import port_holders, sock_diag, udp_receiver
from xdpkit.nic.os import udp_sockets as port_watch
from xdpkit.nic.os.port_holders import PortHolders
from xdpkit.nic.os.udp_receiver import receiver_users


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


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table of all sockets is read: any user can make that take minutes, with many sockets."""

    def read(*_: object) -> None:
        pytest.fail("a table of all sockets is read")

    for module, name in ((port_watch, "tables"), (udp_receiver, "tables")):
        monkeypatch.setattr(module, name, read)
    monkeypatch.setattr(port_holders, "open_sockets", read)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "::"])
def test_only_the_sockets_of_a_port_are_asked_for(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_DGRAM) as datagrams,
        socket.create_server((host, 0), family=family) as streams,
    ):
        datagrams.bind((host, 0))
        udp, tcp = datagrams.getsockname()[1], streams.getsockname()[1]
        assert port_watch.is_held(udp, [], [ip_address(host)])
        assert not port_watch.is_held(udp, [os.fstat(datagrams.fileno()).st_ino], [])
        holders = PortHolders([udp, tcp])
        holders.read()
        for protocol, port in (("udp", udp), ("tcp", tcp)):
            found = holders.name(protocol, ip_address(host), port)
            assert f"(process {os.getpid()})" in found
        assert holders.name("tcp", ip_address(host), udp) == "another program"


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_nobody_receives(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_DGRAM) as nobody,
        socket.socket(family, socket.SOCK_DGRAM) as sender,
    ):
        nobody.bind((host, 0))
        there = nobody.getsockname()[:2]
        sender.connect(there)
        assert receiver_users(sender.getsockname()[:2], there) == {os.getuid()}
        nobody.close()
        assert receiver_users(sender.getsockname()[:2], there) == set()


def test_without_sock_diag_the_tables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "NETLINK_SOCK_DIAG", 31)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        assert port_watch.is_held(port, [], [ip_address("127.0.0.1")])
        holders = PortHolders([port])
        holders.read()
        assert str(os.getpid()) in holders.name("udp", ip_address("127.0.0.1"), port)
        assert receiver_users(("127.0.0.1", 9), ("127.0.0.1", port)) == {os.getuid()}
