"""The document of ``xdpkit status --json`` as metric families.

Each family has one meaning. Labels have values bounded by the configuration and the source code:
paths, queues, verdicts, key IDs, sources, zones; never clients. Whatever can occur is present from
the start with 0; otherwise, Prometheus would miss the first occurrence. Names, ``_total`` and base
units follow https://prometheus.io/docs/practices/naming/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric

from xdpkit import __version__
from xdpkit._core._stats import SERVICES
from xdpkit.metrics import native
from xdpkit.metrics.dns_families import dns_families
from xdpkit.metrics.family import THREAD, Labels, Rows, StatusPart, Threads, counter, gauge, info
from xdpkit.metrics.ntp_families import ntp_families
from xdpkit.runtime.health import KINDS, STATES
from xdpkit.status.document import Verdict
from xdpkit.status.latency import cumulative
from xdpkit.status.places import PLACES

# Counters of struct stats (cext/runtime/stats.h) by their key in the document.
_LOOP = {
    "batches": ("loop_batches", "Non-empty receive batches."),
    "kicks": ("loop_kicks", "System calls that made the kernel transmit."),
    "waits": ("loop_waits", "Times that the thread blocked for lack of work."),
    "heartbeat": ("loop_turns", "Turns of the loop, at least one a second."),
    "csum_partial": (
        "partial_checksums",
        "Accepted UDP checksums that were only the pseudo-header sum, as in packets of this host.",
    ),
}

# The most zones that are named in labels.
ZONES_NAMED = 100
_FEW = f"None if there are more than {ZONES_NAMED}."

# struct xdp_statistics (linux/if_xdp.h; Documentation/networking/af_xdp.rst).
_SOCKET = {
    "rx_dropped": "Packets that the kernel dropped before the RX ring, for other reasons.",
    "rx_invalid_descs": "Fill ring descriptors that the kernel rejected.",
    "tx_invalid_descs": "TX ring descriptors that the kernel rejected.",
    "rx_ring_full": "Packets that the kernel dropped because the RX ring was full.",
    "rx_fill_ring_empty_descs": "Times that the kernel found no frame on the fill ring.",
    "tx_ring_empty_descs": "Times that the kernel found nothing to send on the TX ring.",
}


def families(document: StatusPart, verdicts: Sequence[Verdict]) -> list[Metric]:
    """All families of one document; ``verdicts`` is ``xdpkit._core._stats.VERDICTS``."""
    threads = _threads(document)
    return [
        *_instance(document),
        *_health(document.get("health", {})),
        _verdicts(document, threads, verdicts),
        _lost(document),
        *_queues(document),
        *_loops(threads),
        _latency(threads),
        *_captures(document),
        *(ntp_families(document["ntp"], threads) if "ntp" in document else ()),
        *(dns_families(traffic) if (traffic := document.get("dns", {}).get("traffic")) else ()),
        *_zones(document["zones"], document.get("dns", {}).get("arena")),
    ]


def _threads(document: StatusPart) -> Threads:
    """Labels and facts of every answering thread."""
    ring = [(("ring", queue), facts) for queue, facts in document["queues"].items()]
    slow_path = document["slow_path"].items()
    return ring + [((f"slow_path_{name}", ""), facts) for name, facts in slow_path]


def _instance(document: StatusPart) -> Iterator[Metric]:
    yield info("build", "The running version.", {"version": __version__})
    obtained = {
        "interface": document["interface"],
        "mode": document["mode"],
        "zerocopy": str(document["zerocopy"]).lower(),
        "steering": document["steering"],
        "timestamps": document["timestamps"],
    }
    yield info("interface", "What was obtained from the machine.", obtained)
    rows: Rows = [((), document["uptime_s"])]
    yield gauge("up_seconds", "Time since startup.", (), rows)
    faults = document.get("faults", {})
    text = "Faults of xdpkit itself that ended one connection, one request or one turn of a task."
    yield counter("faults", text, ("unit",), (((unit,), count) for unit, count in faults.items()))
    text = "Lines of the log that could not be written: nobody read it, or its disk was full."
    yield counter("log_lines_lost", text, (), [((), document.get("log", {}).get("lost_lines", 0))])
    takeover = document.get("takeover", {})
    text = "Successors that did not take over: this instance continued to serve."
    yield counter("takeovers_kept", text, (), [((), takeover.get("kept", 0))])
    udp = document["slow_path"].get("udp", {})
    rows = [((service,), 1) for service in udp.get("left_to_others", ())]
    text = "1 for a service whose port the slow path leaves to another program."
    yield gauge("left_to_others", text, ("service",), rows)
    counts = Counter((each["protocol"], each["service"]) for each in document["not_served"])
    ports = [("udp", service) for service in SERVICES] if udp else []
    ports += [("tcp", "dns")] if "tcp" in document["slow_path"] else []
    text = "Addresses at which the service's port could not be had: another program has it."
    rows = ((port, counts[port]) for port in ports)
    yield gauge("ports_not_served", text, ("protocol", "service"), rows)


def _health(health: StatusPart) -> Iterator[Metric]:
    """The state as one of three, and how many reasons there are of each kind."""
    rows: Rows = [((state,), state == health.get("state")) for state in STATES]
    yield gauge("health", "1 for the state that the instance is in.", ("state",), rows)
    counts = health.get("counts", {})
    rows = [((kind,), counts.get(kind, 0)) for kind in KINDS]
    text = "Reasons why the instance is not healthy; xdpkit status has each in words."
    yield gauge("health_reasons", text, ("reason",), rows)


def _lost(document: StatusPart) -> Metric:
    """Packets by the place that lost them: on their way to a thread of ours, or from it."""
    rows: dict[Labels, int] = {("", "", "nic_ring"): document.get("nic", {}).get("lost", 0)}
    for queue, facts in document["queues"].items():
        for place, packets in facts.get("lost", {}).items():
            rows["ring", queue, place] = packets
    for name, facts in document["slow_path"].items():
        for place, _, packets in facts.get("lost_at", ()):
            key = (f"slow_path_{name}", "", place)
            rows[key] = rows.get(key, 0) + packets
    meanings = "; ".join(f"{name}: {place.text}" for name, place in PLACES.items())
    text = f"Packets lost, by place, each counted once; no verdict counts them. {meanings}."
    return counter("lost", text, (*THREAD, "place"), rows.items())


def _verdicts(document: StatusPart, threads: Threads, verdicts: Sequence[Verdict]) -> Metric:
    """The verdicts on all packets: of the threads, then of the XDP program by RX queue."""
    paths = [
        (labels, ("answer", "drop"), {**facts["answered"], **facts["dropped"]})
        for labels, facts in threads
    ]
    paths += [
        (("xdp", queue), ("take", "pass"), counts) for queue, counts in document["xdp"].items()
    ]
    meanings = "; ".join(f"{verdict.name}: {verdict.text}" for verdict in verdicts)
    return counter(
        "verdicts",
        "Packets by verdict. Path xdp is the XDP program (kind take or pass), ring an AF_XDP "
        "worker, slow_path_udp and slow_path_tcp the listeners on kernel sockets (kind answer "
        f"or drop). {meanings}.",
        (*THREAD, "verdict", "kind"),
        (
            ((*labels, verdict.name, verdict.kind), counts.get(verdict.name, 0))
            for labels, kinds, counts in paths
            for verdict in verdicts
            if verdict.kind in kinds
        ),
    )


def _queues(document: StatusPart) -> Iterator[Metric]:
    """Families that exist for AF_XDP queues only."""
    queues = document["queues"]
    yield gauge(
        "queue_detached",
        "1 while the queue's frames go to the kernel, because its worker is stalled or dead.",
        ("queue",),
        (((queue,), facts["detached"]) for queue, facts in queues.items()),
    )
    for key, text in _SOCKET.items():
        rows = (((queue,), facts["socket"][key]) for queue, facts in queues.items())
        yield counter(f"xsk_{key}", text, ("queue",), rows)


def _loops(threads: Threads) -> Iterator[Metric]:
    for key, (name, text) in _LOOP.items():
        rows = ((labels, facts["loop"][key]) for labels, facts in threads)
        yield counter(name, text, THREAD, rows)
    yield counter(
        "receive_stamps",
        "Receive stamps of NTP requests, by their source.",
        (*THREAD, "source"),
        (
            ((*labels, key.removeprefix("stamp_")), count)
            for labels, facts in threads
            for key, count in facts["loop"].items()
            if key.startswith("stamp_")
        ),
    )


def _latency(threads: Threads) -> Metric:
    family = HistogramMetricFamily(
        "xdpkit_latency_seconds",
        "Time from the receive stamp of a request (at XDP entry, of the slow path's socket, or of "
        "the loop where there is none) until its answer is given to the kernel.",
        labels=THREAD,
        unit="seconds",
    )
    for labels, facts in threads:
        if "latency" in facts:
            total = facts["latency_sum_ns"] / 1e9
            family.add_metric(labels, cumulative(facts["latency"]), sum_value=total)
            if native.IS_KNOWN:
                family.add_sample(
                    family.name,
                    dict(zip(THREAD, labels, strict=True)),
                    0.0,
                    native_histogram=native.native_histogram(
                        facts["latency"], facts["latency_sum_ns"]
                    ),
                )
    return family


def _captures(document: StatusPart) -> Iterator[Metric]:
    captures = document.get("captures", {"running": (), "begun": 0})
    text = "Captures (xdpkit dump) since startup."
    yield counter("captures_begun", text, (), [((), captures["begun"])])
    yield gauge("captures", "Captures that run.", (), [((), len(captures["running"]))])
    lost = sum(each["lost"] for each in captures["running"])
    text = "Packets that those captures have lost: their readers are too slow."
    yield gauge("captures_lost_packets", text, (), [((), lost)])


def _zones(zones: Mapping[str, StatusPart], arena: StatusPart | None) -> Iterator[Metric]:
    """Each zone by name only where they are few: a label for each of 10,000 helps nobody."""
    shown = zones if len(zones) <= ZONES_NAMED else {}
    for key, text in (("serial", "Serial of the zone's SOA."), ("names", "Names in the zone.")):
        rows = (
            ((zone,), facts[key]) for zone, facts in shown.items() if facts["serial"] is not None
        )
        yield gauge(f"zone_{key}", f"{text} {_FEW}", ("zone",), rows)
    if not arena or "stale" not in arena:
        return
    yield gauge("zones", "Zones that have a file.", (), [((), arena["zones"])])
    text = "Zones whose file does not load, answered from their last good version."
    yield gauge("zones_stale", text, (), [((), arena["stale"])])
    text = "Zones whose file does not load, and that are answered with SERVFAIL."
    yield gauge("zones_failed", text, (), [((), arena["failed"])])
    text = "Since when the zone that has not loaded for longest does not; 0 without one."
    yield gauge("zones_failing_seconds", text, (), [((), arena["failing_s"])])
