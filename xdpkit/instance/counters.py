"""Everything that a running instance counts, read at one moment: for status, metrics and watchdog.

what                                       where                     read by
an answering thread's loop                 cext/runtime/stats.h      copying memory
its NTP and DNS counters                   cext/{ntp,dns}/counts.h   copying memory
the XDP program's verdicts of all queues   a per-CPU map             one system call
an AF_XDP socket's statistics              the kernel                one system call each
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xdpkit._core._loop import Worker
from xdpkit._core._stats import VERDICTS
from xdpkit._core._tcp_listener import TcpListener
from xdpkit._core._udp_listener import UdpListener
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.slowpath.slow_path import SlowPath

_ANSWERS = [index for index, verdict in enumerate(VERDICTS) if verdict.kind == "answer"]


@dataclass(frozen=True)
class ThreadCounters:
    """One answering thread: a queue's worker, or with ``queue`` None a listener of the slow path.

    ``verdicts`` is in the order of VERDICTS; ``loop`` is what else the loop counts; ``ntp`` and
    ``dns`` are those of its state, ``latency`` its histogram. ``tid`` is as in /proc/PID/task.
    """

    name: str
    queue: int | None
    tid: int
    verdicts: Sequence[int]
    loop: Mapping[str, Any]
    ntp: Mapping[str, Any]
    dns: Mapping[str, int]
    latency: Mapping[str, Any]

    @property
    def answers(self) -> int:
        """How many answers the thread has sent."""
        return sum(self.verdicts[index] for index in _ANSWERS)


@dataclass(frozen=True)
class Counters:
    """``workers`` and ``sockets`` are by served RX queue, ``xdp`` by RX queue of the interface.

    ``udp``, ``tcp``, and ``connections``, which ``TcpSlowPath.status`` made, are None without such
    a listener.
    """

    workers: Mapping[int, ThreadCounters]
    udp: ThreadCounters | None
    tcp: ThreadCounters | None
    sockets: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    xdp: Mapping[int, Sequence[int]] = field(default_factory=dict)
    connections: Mapping[str, Any] | None = None

    @property
    def threads(self) -> list[ThreadCounters]:
        listeners = (self.udp, self.tcp)
        return [*self.workers.values(), *(thread for thread in listeners if thread)]


def read_threads(dataplane: DataPlane, slow_path: SlowPath) -> Counters:
    """What the threads count, without the kernel's part: cannot fail."""
    return Counters(
        {
            queue.number: _read(f"queue {queue.number}", queue.worker, queue.number)
            for queue in dataplane.queues
        },
        _read("the UDP listener", slow_path.udp.listener) if slow_path.udp else None,
        _read("the TCP listener", slow_path.tcp.listener) if slow_path.tcp else None,
    )


def read_counters(dataplane: DataPlane, slow_path: SlowPath) -> Counters:
    """Everything that is counted. Raises OSError if the kernel does not give its part."""
    threads = read_threads(dataplane, slow_path)
    tcp = slow_path.tcp
    return replace(
        threads,
        sockets={queue.number: queue.socket.statistics() for queue in dataplane.queues},
        xdp=dataplane.xdp_counters(),
        connections=tcp.status(threads.tcp.loop) if tcp and threads.tcp else None,
    )


def _read(
    name: str, thread: Worker | UdpListener | TcpListener, queue: int | None = None
) -> ThreadCounters:
    loop: dict[str, Any] = {**thread.counters()}
    verdicts = loop.pop("verdicts")
    state = thread.state
    return ThreadCounters(
        name,
        queue,
        thread.tid,
        verdicts,
        loop,
        state.counters(),
        state.dns_counters(),
        state.latency(),
    )
