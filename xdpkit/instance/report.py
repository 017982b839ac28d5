"""Gathers the counters of a running instance into the document of ``xdpkit status --json``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from itertools import zip_longest
from typing import Any

from xdpkit.status import document as status
from xdpkit.dataplane.dataplane import Bypass
from xdpkit._core._stats import QUEUES, VERDICTS
from xdpkit.services.ntp.counts import thread_facts, total_facts
from xdpkit.slowpath.udp import SlowPath
from xdpkit.slowpath.tcp import TcpPath


def document(
    bypass: Bypass,
    slow_path: SlowPath | None,
    tcp_path: TcpPath | None,
    left: Collection[str],
    zones: Mapping[str, status.Zone],
    uptime_s: float,
    ntp: Mapping[str, Any] | None = None,
    keys: Mapping[int, int] | None = None,
    steering: str = "none",
) -> dict[str, Any]:
    """The instance as it is now; ``left`` are services that the slow path leaves to others.

    ``ntp`` are the facts of the source of time (``xdpkit/ntp/source.py``), None when NTP is off;
    ``keys`` has the counter of each key id; ``steering`` is what was obtained (nic/plan.py).
    """
    workers = {queue.number: queue.worker.counters() for queue in bypass.queues}
    kernel: Mapping[str, Any] = slow_path.door.counters() if slow_path else {"verdicts": []}
    tcp: Mapping[str, Any] = tcp_path.door.counters() if tcp_path else {"verdicts": []}
    facts = status.document(
        VERDICTS,
        status.Obtained(
            interface=bypass.interface.name,
            mode=bypass.mode,
            zerocopy=bypass.zerocopy,
            timestamps=timestamps(bypass.timestamps, workers.values()),
            pid=os.getpid(),
            uptime_s=uptime_s,
            steering=steering,
        ),
        status.Counters(
            workers={queue: worker["verdicts"] for queue, worker in workers.items()},
            steer={
                queue: bypass.steer_counters(queue)
                for queue in range(min(bypass.interface.rx_queues, QUEUES))
            },
            kernel=[
                one + other
                for one, other in zip_longest(kernel["verdicts"], tcp["verdicts"], fillvalue=0)
            ],
        ),
        zones,
    )
    for queue in bypass.queues:
        facts["queues"][str(queue.number)] |= {
            "detached": queue.detached,
            "dead": queue.worker.dead,
            "thread": queue.worker.tid,
            "loop": without_verdicts(workers[queue.number]),
            "socket": queue.socket.statistics(),
        }
    if slow_path:
        facts["kernel"] |= {
            "thread": slow_path.door.tid,
            "loop": without_verdicts(kernel),
            "left_to_others": sorted(left),
        }
    if tcp_path:
        facts["kernel"]["tcp"] = tcp_path.status(tcp)
    if ntp:
        sides = [
            (facts["queues"][str(queue.number)], queue.worker.memory) for queue in bypass.queues
        ]
        if slow_path:
            sides.append((facts["kernel"], slow_path.door.memory))
        threads = [memory.counters() for _, memory in sides]
        for (side, _), counters in zip(sides, threads, strict=True):
            side["ntp"] = thread_facts(counters)
        facts["ntp"] = {**ntp, **total_facts(threads, keys or {})}
    return facts


def timestamps(obtained: str, workers: Collection[Mapping[str, Any]]) -> str:
    """What most receive times were: a better source stands in a frame or not. ``obtained`` before
    there are any."""
    counters = {"hardware": "stamp_hw", "xdp": "stamp_xdp", "loop": "stamp_clock"}
    counts = {name: sum(worker[of] for worker in workers) for name, of in counters.items()}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else obtained


def dns_facts(
    bypass: Bypass, slow_path: SlowPath | None, tcp_path: TcpPath | None
) -> dict[str, Any]:
    """What all threads together counted of DNS beside the verdicts."""
    memories = [queue.worker.memory for queue in bypass.queues]
    if slow_path:
        memories.append(slow_path.door.memory)
    if tcp_path:
        memories.append(tcp_path.door.memory)
    counts = [memory.dns_counters() for memory in memories]
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
    """The counters beside the verdicts, which stand elsewhere in the document."""
    return {name: count for name, count in counters.items() if name != "verdicts"}
