"""Reads the machine around the NIC: memory, CPU sleep and frequency, clock, users of the ports.

Everything comes from /proc and /sys, and nothing is changed.
"""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path

from xdpkit._core._clock import adjtimex
from xdpkit.config.address import Address
from xdpkit.nic.fact import Fact, parse_cpu_list, read_fact, read_number, read_text
from xdpkit.nic.os.udp_sockets import UNCONNECTED, parse_proc_address
from xdpkit.services.ntp.kernel import is_disciplined

# The state of a listening TCP socket: TCP_LISTEN in Linux include/net/tcp_states.h.
LISTENS = "0A"

# The size of the huge pages requested for UMEM (MFD_HUGETLB without a size, on x86 and ARM).
HUGE_KIB = 2048

_CPU = Path("/sys/devices/system/cpu")
_NODES = Path("/sys/devices/system/node")


@dataclass(frozen=True)
class Process:
    """A process: its PID, name, and systemd unit, if any."""

    pid: int
    name: str
    unit: str = ""


@dataclass(frozen=True)
class Listener:
    """A socket on a port; ``owner`` is None if we lack permission to see it."""

    protocol: str
    address: Address
    port: int
    owner: Process | None = None


@dataclass(frozen=True)
class Node:
    """A NUMA node: its CPUs, and its huge pages of HUGE_KIB, free and total."""

    cpus: tuple[int, ...]
    huge_free: Fact[int]
    huge_pages: Fact[int]


@dataclass(frozen=True)
class Clock:
    """What the kernel says about its clock: whether it is disciplined, and how well."""

    synchronised: bool
    max_error_us: int


@dataclass(frozen=True)
class Host:
    """The facts about the machine; listeners are those on the requested ports."""

    nodes: Mapping[int, Node] = field(default_factory=dict)
    memlock_kib: int | None = None
    """The hard limit on locked memory; None: no limit."""
    idle_us: Fact[int] = None
    """How long a CPU takes to wake from the deepest enabled idle state; None: never sleeps."""
    governors: Fact[tuple[str, ...]] = ()
    """The frequency governors of the CPUs; empty where the machine does not say."""
    irqbalance: Process | None = None
    clock: Fact[Clock] = None
    listeners: Fact[tuple[Listener, ...]] = ()


def host(ports: tuple[int, ...]) -> Host:
    """Reads them all; ``ports`` are those that we want to serve."""
    return Host(
        nodes=nodes(),
        memlock_kib=_memlock_kib(),
        idle_us=read_fact(idle_us),
        governors=read_fact(governors),
        irqbalance=next((p for p in processes() if p.name == "irqbalance"), None),
        clock=read_fact(_clock),
        listeners=read_fact(listeners, ports),
    )


def nodes(root: Path = _NODES) -> dict[int, Node]:
    """The NUMA nodes; empty where the kernel has no NUMA support."""
    found = {}
    for path in sorted(root.glob("node[0-9]*")):
        cpus = read_fact(read_text, path / "cpulist")
        pages = path / "hugepages" / f"hugepages-{HUGE_KIB}kB"
        found[int(path.name[4:])] = Node(
            cpus=parse_cpu_list(cpus) if isinstance(cpus, str) else (),
            huge_free=read_fact(read_number, pages / "free_hugepages"),
            huge_pages=read_fact(read_number, pages / "nr_hugepages"),
        )
    return found


def idle_us(root: Path = _CPU) -> int | None:
    """The longest wake-up latency of all enabled idle states, over all CPUs."""
    latencies = [
        read_number(state / "latency")
        for state in root.glob("cpu[0-9]*/cpuidle/state[0-9]*")
        if read_text(state / "disable") == "0"
    ]
    return max(latencies, default=None)


def governors(root: Path = _CPU) -> tuple[str, ...]:
    """The governors in use, over all CPUs."""
    files = root.glob("cpufreq/policy[0-9]*/scaling_governor")
    return tuple(sorted({read_text(path) for path in files}))


def _memlock_kib() -> int | None:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    return None if hard == resource.RLIM_INFINITY else hard // 1024


def _clock() -> Clock:
    _, status, max_error_us = adjtimex()
    return Clock(is_disciplined(status), max_error_us)


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

    From /proc, because sock_diag, which ss uses, loads modules. Raises OSError.
    """
    tables = [("udp", UNCONNECTED), ("udp6", UNCONNECTED), ("tcp", LISTENS), ("tcp6", LISTENS)]
    found: dict[int, Listener] = {}
    for table, state in tables:
        path = Path("/proc/thread-self/net") / table
        if path.exists():
            found |= dict(sockets(path.read_text("ascii"), table[:3], state, ports))
    owners = _owners(set(found)) if found else {}
    return tuple(
        Listener(each.protocol, each.address, each.port, owners.get(inode))
        for inode, each in found.items()
    )


def sockets(
    table: str, protocol: str, state: str, ports: tuple[int, ...]
) -> Iterator[tuple[int, Listener]]:
    """Inode and socket of each line of a /proc/net table with this state and one of these ports."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == state and int(port, 16) in ports:
            local = parse_proc_address(address)
            if isinstance(local, IPv6Address) and local.ipv4_mapped:
                local = local.ipv4_mapped
            yield int(fields[9]), Listener(protocol, local, int(port, 16))


def _owners(inodes: set[int]) -> dict[int, Process]:
    """The owners of these sockets, as far as we have permission to see them."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found = {}
    for process in processes():
        try:
            descriptors = list(os.scandir(f"/proc/{process.pid}/fd"))
        except OSError:
            continue
        for descriptor in descriptors:
            inode = wanted.get(str(read_fact(os.readlink, descriptor.path)))
            if inode is not None:
                found[inode] = process
    return found
