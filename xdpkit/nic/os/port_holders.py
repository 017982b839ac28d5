"""Finds the programs on this host that have a port, by the kernel's tables of sockets.

For ``xdpkit doctor`` from /proc, because sock_diag, which ss uses, loads modules. A program's name
takes the right to see its descriptors (CAP_SYS_PTRACE for those of others); the user of a socket is
visible to all.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from pathlib import Path

from xdpkit.config.address import Address
from xdpkit.nic.fact import read_fact, read_text
from xdpkit.nic.os import sock_diag
from xdpkit.nic.os.sock_diag import Entry
from xdpkit.nic.os.udp_sockets import UNCONNECTED, entries

# The state of a listening TCP socket: TCP_LISTEN in Linux include/net/tcp_states.h.
LISTENS = "0A"


@dataclass(frozen=True)
class Process:
    """A process: its PID, name, and systemd unit, if any."""

    pid: int
    name: str
    unit: str = ""


@dataclass(frozen=True)
class Listener:
    """A socket on a port; ``owner`` is None if we lack permission to see it, ``uid`` its user."""

    protocol: str
    address: Address
    port: int
    owner: Process | None = None
    uid: int = 0


def processes() -> Iterator[Process]:
    """Every process visible in /proc."""
    for path in Path("/proc").glob("[0-9]*"):
        if isinstance(name := read_fact(read_text, path / "comm"), str):
            unit = read_fact(read_text, path / "cgroup")
            yield Process(int(path.name), name, unit_of(unit if isinstance(unit, str) else ""))


def unit_of(cgroups: str) -> str:
    """The innermost systemd service in the text of /proc/PID/cgroup, or nothing."""
    found = re.findall(r"/([^/\n]+\.service)(?=[/\n]|$)", cgroups)
    return str(found[-1]) if found else ""


def listeners(ports: tuple[int, ...]) -> tuple[Listener, ...]:
    """Unconnected UDP sockets and listening TCP ones on these ports, in this network namespace.

    Raises OSError.
    """
    found = open_sockets(ports)
    known = owners(found)
    return tuple(replace(each, owner=known.get(inode)) for inode, each in found.items())


def open_sockets(ports: Collection[int]) -> dict[int, Listener]:
    """The same by inode, without their owners. Raises OSError."""
    tables = [("udp", UNCONNECTED), ("udp6", UNCONNECTED), ("tcp", LISTENS), ("tcp6", LISTENS)]
    found: dict[int, Listener] = {}
    for table, state in tables:
        path = Path("/proc/thread-self/net") / table
        if path.exists():
            found |= dict(sockets(path.read_text("ascii"), table[:3], state, ports))
    return found


def asked_sockets(ports: Collection[int]) -> dict[int, Listener]:
    """The same from sock_diag, where the kernel has that. Raises OSError.

    Any user can open so many sockets that to read a table of all takes the kernel minutes.
    """
    kinds = [("udp", socket.IPPROTO_UDP, UNCONNECTED), ("tcp", socket.IPPROTO_TCP, LISTENS)]
    try:
        return {
            each.inode: _listener(name, each)
            for name, protocol, state in kinds
            for family in (socket.AF_INET, socket.AF_INET6)
            for port in ports
            for each in sock_diag.on_port(family, protocol, int(state, 16), port)
        }
    except OSError:
        return open_sockets(ports)


def sockets(
    table: str, protocol: str, state: str, ports: Collection[int]
) -> Iterator[tuple[int, Listener]]:
    """Inode and socket of each line of a /proc/net table with this state and one of these ports."""
    for entry in entries(table.splitlines()[1:], state, ports):
        yield entry.inode, _listener(protocol, entry)


def _listener(protocol: str, entry: Entry) -> Listener:
    local = entry.address
    if isinstance(local, IPv6Address) and local.ipv4_mapped:
        local = local.ipv4_mapped
    return Listener(protocol, local, entry.port, uid=entry.uid)


def owners(found: Mapping[int, Listener]) -> dict[int, Process]:
    """The owners of these sockets by inode, as far as we have permission to see them."""
    wanted = {f"socket:[{inode}]": inode for inode in found}
    known: dict[int, Process] = {}
    for process in processes() if wanted else ():
        try:
            descriptors = list(os.scandir(f"/proc/{process.pid}/fd"))
        except OSError:
            continue
        for descriptor in descriptors:
            inode = wanted.get(str(read_fact(os.readlink, descriptor.path)))
            if inode is not None:
                known[inode] = process
    return known


class PortHolders:
    """Who has our ports: ``read`` looks, ``name`` tells.

    What a program is called stays known from when it could be seen: a start looks before it gives
    up its rights. A program that came later has only the number of its user.
    """

    def __init__(self, ports: Collection[int]) -> None:
        self._ports = frozenset(ports)
        self._found: dict[int, Listener] = {}
        self._owners: dict[int, Process | None] = {}

    def read(self) -> None:
        """Asks for the sockets, and looks once for the owner of each. Never raises OSError."""
        try:
            self._found = asked_sockets(self._ports)
        except OSError:
            self._found = {}
        new = {inode: each for inode, each in self._found.items() if inode not in self._owners}
        known = owners(new)
        self._owners = {
            inode: known.get(inode) if inode in new else self._owners[inode]
            for inode in self._found
        }

    def name(self, protocol: str, address: Address, port: int) -> str:
        """Who has a port at an address, or on a wildcard, in words; ``protocol`` is tcp or udp."""
        for inode, each in self._found.items():
            there = each.address == address or each.address.is_unspecified
            if (each.protocol, each.port) == (protocol, port) and there:
                owner = self._owners[inode]
                if owner is None:
                    return f"another program (user ID {each.uid})"
                # Any user may give a process any name.
                name = "".join(c if c.isprintable() else "?" for c in owner.name)
                return f"{name} (process {owner.pid})"
        return "another program"
