"""Reads the machine around the NIC: memory, CPU sleep and frequency, clock, users of the ports.

Everything comes from /proc and /sys, and nothing is changed.
"""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xdpkit._core._clock import adjtimex
from xdpkit.nic.fact import Fact, parse_cpu_list, read_fact, read_number, read_text
from xdpkit.nic.os.port_holders import Listener, Process, listeners, processes
from xdpkit.services.ntp.kernel import is_disciplined

# The size of the huge pages requested for UMEM (MFD_HUGETLB without a size, on x86 and ARM).
HUGE_KIB = 2048

_CPU = Path("/sys/devices/system/cpu")
_NODES = Path("/sys/devices/system/node")


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
