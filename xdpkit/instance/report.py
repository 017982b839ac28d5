"""Puts what a running instance counts and serves into the document of ``xdpkit status --json``."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from typing import Any

from xdpkit._core._stats import VERDICTS
from xdpkit.config import Config, ServedAddress
from xdpkit.config.address import SocketAddress
from xdpkit.dataplane.dataplane import DataPlane, Queue
from xdpkit.instance.counters import Counters
from xdpkit.services.dns.serving.traffic import traffic_facts
from xdpkit.services.ntp.counts import thread_facts, total_facts
from xdpkit.slowpath.key import Key
from xdpkit.slowpath.not_served import NotServed
from xdpkit.status import document as status
from xdpkit.status.latency import latency_facts
from xdpkit.status.where import Loss, queue_losses, where


def counted(counters: Counters, dataplane: DataPlane, left: Collection[str]) -> dict[str, Any]:
    """What the counters say of the instance; ``left`` are the services left to other programs."""
    workers, udp, tcp = counters.workers, counters.udp, counters.tcp
    facts = status.document(
        VERDICTS,
        status.Obtained(
            interface=dataplane.interface.name,
            mode=dataplane.mode,
            zerocopy=dataplane.zerocopy,
            timestamps=timestamps(dataplane.timestamps, [w.loop for w in workers.values()]),
            pid=os.getpid(),
            uptime_s=0,
        ),
        status.VerdictCounts(
            workers={queue: worker.verdicts for queue, worker in workers.items()},
            xdp=counters.xdp,
            udp=udp.verdicts if udp else None,
            tcp=tcp.verdicts if tcp else None,
        ),
    )
    for queue in dataplane.queues:
        facts["queues"][str(queue.number)] |= {
            "detached": queue.detached,
            "dead": queue.worker.dead,
            "thread": workers[queue.number].tid,
            "loop": workers[queue.number].loop,
            "socket": counters.sockets[queue.number],
            "lost": _queue_losses(queue, counters),
        }
    _slow_path_facts(facts["slow_path"], counters, left)
    _latency_facts(facts, counters, dataplane.timestamps)
    if counters.nic:
        facts["nic"] = {"lost": counters.nic.lost, "counters": counters.nic.counters}
    facts["where"] = where(facts, VERDICTS)
    return facts


def document(
    facts: dict[str, Any],
    counters: Counters,
    *,
    not_served: Collection[NotServed] = (),
    zones: Mapping[str, Mapping[str, Any]],
    uptime_s: float,
    steering: str = "none",
    ntp: Mapping[str, Any] | None = None,
    keys: Mapping[int, int] | None = None,
    dns: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The current state of the instance, with what ``counted`` made of the same counters.

    ``not_served`` is where a port could not be had.

    ``steering`` was obtained by ``nic/setup/plan.py``. ``ntp`` are the facts of the NTP sources
    (``services/ntp/source.py``) and ``dns`` those of the zones, None when the service is off;
    ``keys`` has the counter of each key ID.
    """
    facts |= {"uptime_s": round(uptime_s, 3), "steering": steering, "zones": dict(zones)}
    facts["not_served"] = [each.facts() for each in sorted(not_served, key=str)]
    if ntp:
        facts["ntp"] = {**ntp, **_ntp_facts(facts, counters, keys or {})}
    if dns is not None:
        facts["dns"] = {**_dns_facts(counters), **dns}
    return facts


def served(
    config: Config,
    addresses: Collection[ServedAddress],
    not_served: Collection[NotServed],
    metrics: str,
) -> list[dict[str, Any]]:
    """What is served where: each service by protocol, with the addresses where it is."""
    ports = [(name, "udp", port) for name, port in config.ports().items()]
    if config.dns and config.interface.slow_path and config.dns.tcp_connections:
        ports.append(("dns", "tcp", config.dns.port))
    missing = {(each.service, each.protocol, each.address) for each in not_served}
    found = [
        {
            "service": name,
            "protocol": protocol,
            "port": port,
            "addresses": [
                str(each) for each in addresses if (name, protocol, each.address) not in missing
            ],
        }
        for name, protocol, port in ports
    ]
    if metrics:
        found.append({"service": "metrics", "url": metrics})
    return found


def _slow_path_facts(facts: dict[str, Any], counters: Counters, left: Collection[str]) -> None:
    """Adds to the listeners' parts of the document."""
    if udp := counters.udp:
        facts["udp"] |= {"thread": udp.tid, "loop": udp.loop, "left_to_others": sorted(left)}
    if counters.tcp and counters.connections:
        facts["tcp"] |= counters.connections
        refused = counters.connections["ended"].get("source", 0)
        _add_losses(facts["tcp"], "tcp_listen", counters.lost["tcp"], [("tcp_source", "", refused)])
    if counters.udp:
        _add_losses(facts["udp"], "udp_socket", counters.lost["udp"])


def _add_losses(
    facts: dict[str, Any],
    place: str,
    by_socket: Mapping[Key | None, int],
    others: Collection[Loss] = (),
) -> None:
    """``lost``, all that a listener's sockets have, and ``lost_at``, each socket that has any."""
    closed = [(place, "", by_socket[None])]
    sockets = sorted(
        (place, str(SocketAddress(ip_address(key[0]), key[2])), count)
        for key, count in by_socket.items()
        if key and count
    )
    facts["lost_at"] = [list(each) for each in (*closed, *sockets, *others)]
    facts["lost"] = sum(count for *_, count in facts["lost_at"])


def _queue_losses(queue: Queue, counters: Counters) -> dict[str, int]:
    """What one served queue has lost, by place."""
    losses = queue_losses(counters.sockets[queue.number], queue.lost_before)
    losses["tx_ring"] += counters.workers[queue.number].loop["tx_lost"]
    return losses


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
    threads = [("udp-xdp", each.traffic) for each in counters.workers.values()]
    threads += [("udp", counters.udp.traffic)] if counters.udp else []
    threads += [("tcp", counters.tcp.traffic)] if counters.tcp else []
    return {"cookies": cookies, "rrl": limits, "traffic": traffic_facts(threads)}


def timestamps(obtained: str, workers: Collection[Mapping[str, Any]]) -> str:
    """The source of most receive stamps: not every frame has the best. ``obtained`` if none yet."""
    counters = {"hardware": "stamp_hw", "xdp": "stamp_xdp", "loop": "stamp_clock"}
    counts = {name: sum(worker[key] for worker in workers) for name, key in counters.items()}
    return max(counts, key=lambda name: counts[name]) if any(counts.values()) else obtained
