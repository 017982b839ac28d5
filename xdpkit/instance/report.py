"""Puts the counters of a running instance into the document of ``xdpkit status --json``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import Any

from xdpkit._core._stats import VERDICTS
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.instance.counters import Counters
from xdpkit.services.ntp.counts import thread_facts, total_facts
from xdpkit.slowpath.not_served import NotServed
from xdpkit.status import document as status
from xdpkit.status.latency import latency_facts


def document(
    counters: Counters,
    dataplane: DataPlane,
    *,
    left: Collection[str],
    not_served: Collection[NotServed] = (),
    zones: Mapping[str, Mapping[str, Any]],
    uptime_s: float,
    steering: str = "none",
    ntp: Mapping[str, Any] | None = None,
    keys: Mapping[int, int] | None = None,
    dns: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The current state of the instance; ``left`` are the services left to other programs.

    ``not_served`` is where a port could not be had.

    ``steering`` was obtained by ``nic/setup/plan.py``. ``ntp`` are the facts of the NTP sources
    (``services/ntp/source.py``) and ``dns`` those of the zones, None when the service is off;
    ``keys`` has the counter of each key ID.
    """
    workers, udp, tcp = counters.workers, counters.udp, counters.tcp
    facts = status.document(
        VERDICTS,
        status.Obtained(
            interface=dataplane.interface.name,
            mode=dataplane.mode,
            zerocopy=dataplane.zerocopy,
            timestamps=timestamps(dataplane.timestamps, [w.loop for w in workers.values()]),
            pid=os.getpid(),
            uptime_s=uptime_s,
            steering=steering,
        ),
        status.VerdictCounts(
            workers={queue: worker.verdicts for queue, worker in workers.items()},
            xdp=counters.xdp,
            udp=udp.verdicts if udp else None,
            tcp=tcp.verdicts if tcp else None,
        ),
        zones,
    )
    facts["not_served"] = [each.facts() for each in sorted(not_served, key=str)]
    for queue in dataplane.queues:
        facts["queues"][str(queue.number)] |= {
            "detached": queue.detached,
            "dead": queue.worker.dead,
            "thread": workers[queue.number].tid,
            "loop": workers[queue.number].loop,
            "socket": counters.sockets[queue.number],
        }
    _slow_path_facts(facts["slow_path"], counters, left)
    _latency_facts(facts, counters, dataplane.timestamps)
    if ntp:
        facts["ntp"] = {**ntp, **_ntp_facts(facts, counters, keys or {})}
    if dns is not None:
        facts["dns"] = {**_dns_facts(counters), **dns}
    return facts


def _slow_path_facts(facts: dict[str, Any], counters: Counters, left: Collection[str]) -> None:
    """Adds to the listeners' parts of the document."""
    if udp := counters.udp:
        facts["udp"] |= {"thread": udp.tid, "loop": udp.loop, "left_to_others": sorted(left)}
    if counters.tcp and counters.connections:
        facts["tcp"] |= counters.connections


def _latency_facts(facts: dict[str, Any], counters: Counters, obtained: str) -> None:
    """Adds each thread's histogram to its part of the document."""
    for queue, worker in counters.workers.items():
        stamp = "loop" if obtained == "loop" else "xdp"
        facts["queues"][str(queue)] |= latency_facts(worker.latency, stamp)
    if udp := counters.udp:
        facts["slow_path"]["udp"] |= latency_facts(udp.latency, "kernel")
    if tcp := counters.tcp:
        facts["slow_path"]["tcp"] |= latency_facts(tcp.latency, "loop")


def _ntp_facts(
    facts: dict[str, Any], counters: Counters, keys: Mapping[int, int]
) -> dict[str, Any]:
    """Adds each thread's NTP counts to its part of the document; returns the totals."""
    parts = [(facts["queues"][str(queue)], each) for queue, each in counters.workers.items()]
    if counters.udp:
        parts.append((facts["slow_path"]["udp"], counters.udp))
    for part, thread in parts:
        part["ntp"] = thread_facts(thread.ntp)
    return total_facts([thread.ntp for _, thread in parts], keys)


def _dns_facts(counters: Counters) -> dict[str, Any]:
    """The DNS counters of all threads together, besides the verdicts."""
    counts = [thread.dns for thread in counters.threads]
    cookies = {
        kind: sum(count[f"cookie_{kind}"] for count in counts)
        for kind in ("valid", "client", "bad", "malformed")
    }
    limits = {
        kind: sum(count[f"rrl_{kind}"] for count in counts)
        for kind in ("limited", "slipped", "badcookie")
    }
    return {"cookies": cookies, "rrl": limits}


def timestamps(obtained: str, workers: Collection[Mapping[str, Any]]) -> str:
    """The source of most receive stamps: not every frame has the best. ``obtained`` if none yet."""
    counters = {"hardware": "stamp_hw", "xdp": "stamp_xdp", "loop": "stamp_clock"}
    counts = {name: sum(worker[key] for worker in workers) for name, key in counters.items()}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else obtained
