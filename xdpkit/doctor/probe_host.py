"""The machine around the NIC: memory, sleep and speed of the CPUs, clock, who has the ports.

Read only, from /proc and /sys.
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
from xdpkit.nic.fact import Fact, cpu_list, look, number, text
from xdpkit.nic.os.interface import Address
from xdpkit.nic.os.udp_sockets import UNCONNECTED, unpacked
from xdpkit.services.ntp.kernel import is_disciplined

# The state of a TCP socket that accepts connections: TCP_LISTEN in linux include/net/tcp_states.h.
LISTENS = "0A"

# The huge pages that the packet memory asks for (MFD_HUGETLB without a size, on x86 and ARM).
HUGE_KIB = 2048

_CPU = Path("/sys/devices/system/cpu")
_NODES = Path("/sys/devices/system/node")


@dataclass(frozen=True)
class Process:
    """Somebody: process, its name, and the systemd unit that it belongs to, if any."""

    pid: int
    name: str
    unit: str = ""


@dataclass(frozen=True)
class Listener:
    """A socket on a port; ``owner`` is None where we may not see whose."""

    protocol: str
    address: Address
    port: int
    owner: Process | None = None


@dataclass(frozen=True)
class Node:
    """A NUMA node: its CPUs, and its huge pages of HUGE_KIB, free and in all."""

    cpus: tuple[int, ...]
    huge_free: Fact[int]
    huge_pages: Fact[int]


@dataclass(frozen=True)
class Clock:
    """What the kernel says of its clock: whether somebody keeps it right, and how well."""

    synchronised: bool
    max_error_us: int


@dataclass(frozen=True)
class Host:
    """The facts; ports are those that were asked for."""

    nodes: Mapping[int, Node] = field(default_factory=dict)
    memlock_kib: int | None = None
    """The hard limit of locked memory; None is no limit."""
    idle_us: Fact[int] = None
    """How long a CPU takes to wake from the deepest sleep that is allowed; None: never sleeps."""
    governors: Fact[tuple[str, ...]] = ()
    """Which rules choose the CPUs' frequencies; none where the machine does not say."""
    irqbalance: Process | None = None
    clock: Fact[Clock] = None
    listeners: Fact[tuple[Listener, ...]] = ()


def host(ports: tuple[int, ...]) -> Host:
    """Reads it all; ``ports`` are those that we want to serve."""
    return Host(
        nodes=nodes(),
        memlock_kib=_memlock_kib(),
        idle_us=look(idle_us),
        governors=look(governors),
        irqbalance=next((p for p in processes() if p.name == "irqbalance"), None),
        clock=look(_clock),
        listeners=look(listeners, ports),
    )


def nodes(root: Path = _NODES) -> dict[int, Node]:
    """The NUMA nodes; empty where the kernel has no such thing."""
    found = {}
    for path in sorted(root.glob("node[0-9]*")):
        cpus = look(text, path / "cpulist")
        pages = path / "hugepages" / f"hugepages-{HUGE_KIB}kB"
        found[int(path.name[4:])] = Node(
            cpus=cpu_list(cpus) if isinstance(cpus, str) else (),
            huge_free=look(number, pages / "free_hugepages"),
            huge_pages=look(number, pages / "nr_hugepages"),
        )
    return found


def idle_us(root: Path = _CPU) -> int | None:
    """The longest wake-up time of the sleep states that are not disabled, over all CPUs."""
    latencies = [
        number(state / "latency")
        for state in root.glob("cpu[0-9]*/cpuidle/state[0-9]*")
        if text(state / "disable") == "0"
    ]
    return max(latencies, default=None)


def governors(root: Path = _CPU) -> tuple[str, ...]:
    """Each governor that some CPU has."""
    files = root.glob("cpufreq/policy[0-9]*/scaling_governor")
    return tuple(sorted({text(path) for path in files}))


def _memlock_kib() -> int | None:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    return None if hard == resource.RLIM_INFINITY else hard // 1024


def _clock() -> Clock:
    _, status, max_error_us = adjtimex()
    return Clock(is_disciplined(status), max_error_us)


def processes() -> Iterator[Process]:
    """Every process that /proc shows."""
    for path in Path("/proc").glob("[0-9]*"):
        if isinstance(name := look(text, path / "comm"), str):
            unit = look(text, path / "cgroup")
            yield Process(int(path.name), name, unit_of(unit if isinstance(unit, str) else ""))


def unit_of(cgroups: str) -> str:
    """The innermost systemd service in the text of /proc/PID/cgroup, or nothing."""
    found = re.findall(r"/([^/\n]+\.service)(?=[/\n]|$)", cgroups)
    return str(found[-1]) if found else ""


def listeners(ports: tuple[int, ...]) -> tuple[Listener, ...]:
    """Unconnected UDP sockets and listening TCP ones on these ports, in this network namespace.

    From /proc: sock_diag, which ss uses, loads modules. Raises OSError.
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
    """Inode and socket of the lines of a /proc/net table that are in a state, on these ports."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        address, _, port = fields[1].partition(":")
        if fields[3] == state and int(port, 16) in ports:
            local = unpacked(address)
            if isinstance(local, IPv6Address) and local.ipv4_mapped:
                local = local.ipv4_mapped
            yield int(fields[9]), Listener(protocol, local, int(port, 16))


def _owners(inodes: set[int]) -> dict[int, Process]:
    """Who has these sockets, as far as we may look."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    found = {}
    for process in processes():
        try:
            descriptors = list(os.scandir(f"/proc/{process.pid}/fd"))
        except OSError:
            continue
        for descriptor in descriptors:
            inode = wanted.get(str(look(os.readlink, descriptor.path)))
            if inode is not None:
                found[inode] = process
    return found
