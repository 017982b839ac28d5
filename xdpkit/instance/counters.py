"""Everything that a running instance counts, read at one moment: for status, metrics and watchdog.

what                                       where                     read by
an answering thread's loop                 cext/runtime/stats.h      copying memory
its NTP and DNS counters                   cext/{ntp,dns}/counts.h   copying memory
the XDP program's verdicts of all queues   a per-CPU map             one system call
an AF_XDP socket's statistics              the kernel                one system call each
what a listener's socket has lost          the kernel                one system call each
what the NIC has lost                      its driver                ``ethtool -S``, before the rest
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
from xdpkit.nic.os.ring_losses import RingLosses
from xdpkit.slowpath.key import Key
from xdpkit.slowpath.slow_path import SlowPath
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath

_ANSWERS = [index for index, verdict in enumerate(VERDICTS) if verdict.kind == "answer"]


@dataclass(frozen=True)
class ThreadCounters:
    """One answering thread: a queue's worker, or with ``queue`` None a listener of the slow path.

    ``verdicts`` is in the order of VERDICTS; ``loop`` is what else the loop counts; ``ntp``,
    ``dns`` and ``traffic`` are those of its state, ``latency`` its histogram. ``tid`` is as in
    /proc/PID/task.
    """

    name: str
    queue: int | None
    tid: int
    verdicts: Sequence[int]
    loop: Mapping[str, Any]
    ntp: Mapping[str, Any]
    dns: Mapping[str, int]
    traffic: Mapping[str, Any]
    latency: Mapping[str, Any]

    @property
    def answers(self) -> int:
        """How many answers the thread has sent."""
        return sum(self.verdicts[index] for index in _ANSWERS)


@dataclass(frozen=True)
class Counters:
    """``workers`` and ``sockets`` are by served RX queue, ``xdp`` by RX queue of the interface.

    ``udp``, ``tcp``, and ``connections``, which ``TcpSlowPath.status`` made, are None without such
    a listener. ``lost`` is what each socket of a listener has lost, by the name of its protocol,
    and with the key None what those that are closed have; ``nic`` is what the NIC has.
    """

    workers: Mapping[int, ThreadCounters]
    udp: ThreadCounters | None
    tcp: ThreadCounters | None
    sockets: Mapping[int, Mapping[str, int]] = field(default_factory=dict)
    xdp: Mapping[int, Sequence[int]] = field(default_factory=dict)
    connections: Mapping[str, Any] | None = None
    lost: Mapping[str, Mapping[Key | None, int]] = field(default_factory=dict)
    nic: RingLosses | None = None

    @property
    def threads(self) -> list[ThreadCounters]:
        listeners = (self.udp, self.tcp)
        return [*self.workers.values(), *(thread for thread in listeners if thread)]


def read_threads(dataplane: DataPlane, slow_path: SlowPath) -> Counters:
    """What the threads count, without the kernel's part: cannot fail."""
    return Counters(
        {
            queue.number: _read(
                f"queue {queue.number}", queue.worker, queue.counters(), queue.number
            )
            for queue in dataplane.queues
        },
        _read_listener("the UDP listener", slow_path.udp) if slow_path.udp else None,
        _read_listener("the TCP listener", slow_path.tcp) if slow_path.tcp else None,
    )


def read_counters(
    dataplane: DataPlane, slow_path: SlowPath, nic: RingLosses | None = None
) -> Counters:
    """Everything that is counted. Raises OSError if the kernel does not give its part.

    The XDP program's part is read last: what is in transit meanwhile is counted by it alone.
    """
    threads = read_threads(dataplane, slow_path)
    tcp = slow_path.tcp
    return replace(
        threads,
        sockets={queue.number: queue.socket.statistics() for queue in dataplane.queues},
        xdp=dataplane.xdp_counters(),
        connections=tcp.status(threads.tcp.loop) if tcp and threads.tcp else None,
        lost={name.lower(): _losses(path) for name, path in slow_path.listeners()},
        nic=nic,
    )


def _losses(path: UdpSlowPath | TcpSlowPath) -> dict[Key | None, int]:
    found: dict[Key | None, int] = {None: path.losses.closed}
    for key, count in path.lost().items():
        found[key] = count
    return found


def _read_listener(name: str, path: UdpSlowPath | TcpSlowPath) -> ThreadCounters:
    return _read(name, path.listener, {**path.listener.counters()})


def _read(
    name: str,
    thread: Worker | UdpListener | TcpListener,
    loop: dict[str, Any],
    queue: int | None = None,
) -> ThreadCounters:
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
        state.dns_traffic(),
        state.latency(),
    )
