"""Gathers the counters of a running instance into the document of ``xdpkit status --json``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from xdpkit._core._stats import QUEUES, VERDICTS
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.services.ntp.counts import thread_facts, total_facts
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath
from xdpkit.status import document as status


def document(
    dataplane: DataPlane,
    udp_path: UdpSlowPath | None,
    tcp_path: TcpSlowPath | None,
    left: Collection[str],
    zones: Mapping[str, status.Zone],
    uptime_s: float,
    ntp: Mapping[str, Any] | None = None,
    keys: Mapping[int, int] | None = None,
    steering: str = "none",
) -> dict[str, Any]:
    """The current state of the instance; ``left`` are the services left to other programs.

    ``ntp`` are the facts of the NTP sources (``services/ntp/source.py``), None when NTP is off;
    ``keys`` has the counter of each key ID; ``steering`` was obtained by ``nic/setup/plan.py``.
    """
    workers = {queue.number: queue.worker.counters() for queue in dataplane.queues}
    udp: Mapping[str, Any] | None = udp_path.listener.counters() if udp_path else None
    tcp: Mapping[str, Any] | None = tcp_path.listener.counters() if tcp_path else None
    facts = status.document(
        VERDICTS,
        status.Obtained(
            interface=dataplane.interface.name,
            mode=dataplane.mode,
            zerocopy=dataplane.zerocopy,
            timestamps=timestamps(dataplane.timestamps, workers.values()),
            pid=os.getpid(),
            uptime_s=uptime_s,
            steering=steering,
        ),
        status.Counters(
            workers={queue: worker["verdicts"] for queue, worker in workers.items()},
            xdp={
                queue: dataplane.xdp_counters(queue)
                for queue in range(min(dataplane.interface.rx_queues, QUEUES))
            },
            udp=udp["verdicts"] if udp else None,
            tcp=tcp["verdicts"] if tcp else None,
        ),
        zones,
    )
    for queue in dataplane.queues:
        facts["queues"][str(queue.number)] |= {
            "detached": queue.detached,
            "dead": queue.worker.dead,
            "thread": queue.worker.tid,
            "loop": without_verdicts(workers[queue.number]),
            "socket": queue.socket.statistics(),
        }
    if udp_path and udp:
        facts["slow_path"]["udp"] |= {
            "thread": udp_path.listener.tid,
            "loop": without_verdicts(udp),
            "left_to_others": sorted(left),
        }
    if tcp_path and tcp:
        facts["slow_path"]["tcp"] |= tcp_path.status(tcp)
    if ntp:
        facts["ntp"] = {**ntp, **_ntp_counts(facts, dataplane, udp_path, keys or {})}
    return facts


def _ntp_counts(
    facts: dict[str, Any],
    dataplane: DataPlane,
    udp_path: UdpSlowPath | None,
    keys: Mapping[int, int],
) -> dict[str, Any]:
    """Adds each thread's NTP counts to its part of the document; returns the totals."""
    paths = [(facts["queues"][str(queue.number)], queue.worker.state) for queue in dataplane.queues]
    if udp_path:
        paths.append((facts["slow_path"]["udp"], udp_path.listener.state))
    threads = [state.counters() for _, state in paths]
    for (path, _), counters in zip(paths, threads, strict=True):
        path["ntp"] = thread_facts(counters)
    return total_facts(threads, keys)


def timestamps(obtained: str, workers: Collection[Mapping[str, Any]]) -> str:
    """The source of most receive stamps: not every frame has the best. ``obtained`` if none yet."""
    counters = {"hardware": "stamp_hw", "xdp": "stamp_xdp", "loop": "stamp_clock"}
    counts = {name: sum(worker[key] for worker in workers) for name, key in counters.items()}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else obtained


def dns_facts(
    dataplane: DataPlane, udp_path: UdpSlowPath | None, tcp_path: TcpSlowPath | None
) -> dict[str, Any]:
    """The DNS counters of all threads together, besides the verdicts."""
    states = [queue.worker.state for queue in dataplane.queues]
    if udp_path:
        states.append(udp_path.listener.state)
    if tcp_path:
        states.append(tcp_path.listener.state)
    counts = [state.dns_counters() for state in states]
    cookies = {
        kind: sum(count[f"cookie_{kind}"] for count in counts)
        for kind in ("valid", "client", "bad", "malformed")
    }
    limits = {
        kind: sum(count[f"rrl_{kind}"] for count in counts)
        for kind in ("limited", "slipped", "badcookie")
    }
    return {"cookies": cookies, "rrl": limits}


def without_verdicts(counters: Mapping[str, Any]) -> dict[str, Any]:
    """The counters besides the verdicts, which are elsewhere in the document."""
    return {name: count for name, count in counters.items() if name != "verdicts"}
