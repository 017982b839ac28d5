"""NTP's metric families: the server's state, its sources, requests, and transmit times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily, Metric

from xdpkit._core._thread_state import TRANSMIT_SOURCES
from xdpkit.metrics.family import THREAD, Facts, Threads, counter, gauge, info
from xdpkit.services.ntp.counts import MODES

# Bits of the version in a packet's first byte: RFC 5905 figure 8.
_VERSIONS = range(8)

# Words of Polled.facts (xdpkit/ntp/polled.py).
_STATES = ("synchronised", "holdover", "unsynchronised")

# Upper bounds, inclusive: powers of four up to 4 ms each way. They are edges of the fine histogram
# (cext/ntp/counts.h), so that no count is on the wrong side of one: a fine bucket above zero ends
# one nanosecond below a power of two, one below zero at the power itself.
BOUNDS_NS = (*(-(4**k) for k in range(11, 2, -1)), 0, *(4**k - 1 for k in range(3, 12)))

_NS = 1e9


def ntp_families(ntp: Facts, threads: Threads) -> Iterator[Metric]:
    """Of ``ntp`` in the document and of the ``ntp`` of each thread."""
    yield from _state(ntp)
    yield from _sources(ntp)
    yield from _requests(ntp)
    yield from _transmit(threads)


def _state(ntp: Facts) -> Iterator[Metric]:
    """What replies say of this server's clock."""
    source = {"source": ntp["source"] or "", "refid": ntp["refid"]}
    yield info("ntp_source", "Where the time comes from; no source when unsynchronised.", source)
    for name, key, text in (
        ("synchronised", "synchronised", "1 when replies carry a time to set a clock by."),
        ("leap", "leap", "Leap indicator of replies; 3 is unsynchronised."),
        ("stratum", "stratum", "Stratum of replies; 0 is unsynchronised."),
        ("root_delay_seconds", "root_delay_s", "Round trip to the primary reference."),
        ("root_dispersion_seconds", "root_dispersion_s", "Error bound that replies give."),
        ("age_seconds", "age_s", "Since the source said so; absent when unsynchronised."),
    ):
        rows = [((), ntp[key])] if ntp[key] is not None else []
        yield gauge(f"ntp_{name}", text, (), rows)


def _sources(ntp: Facts) -> Iterator[Metric]:
    sources = {source["name"]: source for source in ntp["sources"]}
    for key, text in (
        ("polls", "Times that the source was asked."),
        ("answers", "Answers of the source that were good."),
    ):
        rows = (((name,), source[key]) for name, source in sources.items())
        yield counter(f"ntp_source_{key}", text, ("source",), rows)
    yield counter(
        "ntp_source_ignored",
        "Polls of the source without a good answer, by the reason.",
        ("source", "reason"),
        (
            ((name, reason), count)
            for name, source in sources.items()
            for reason, count in source["ignored"].items()
        ),
    )
    yield gauge(
        "ntp_source_state",
        "1 for the state that the source is in.",
        ("source", "state"),
        (
            ((name, state), source["state"] == state)
            for name, source in sources.items()
            for state in _STATES
        ),
    )


def _requests(ntp: Facts) -> Iterator[Metric]:
    yield counter(
        "ntp_requests",
        "Requests of 48 bytes and more, by the version that they say.",
        ("version",),
        (((str(version),), ntp["versions"].get(str(version), 0)) for version in _VERSIONS),
    )
    yield counter(
        "ntp_request_modes",
        "Requests of a version that is served, by mode; reserved is a client of version 1.",
        ("mode",),
        (((mode,), ntp["modes"].get(mode, 0)) for mode in MODES.values()),
    )
    yield counter(
        "ntp_authenticated",
        "Authenticated replies by key id; keys beyond the 255th share a counter.",
        ("key",),
        (((key,), count) for key, count in ntp["keys"].items()),
    )
    text = "Estimate of how many different addresses have asked since the start, within some 2 %."
    yield gauge("ntp_clients", text, (), [((), ntp["clients"])])


def _transmit(threads: Threads) -> Iterator[Metric]:
    """What each thread knows of when its replies left."""
    facts = [(labels, thread["ntp"]) for labels, thread in threads if "ntp" in thread]
    for key, name, text in (
        ("leaked", "leaked", "Requests over the rate limit that were answered all the same."),
        ("clock_steps", "clock_steps", "Times that UTC was set: saved timestamps were dropped."),
    ):
        yield counter(f"ntp_{name}", text, THREAD, ((labels, ntp[key]) for labels, ntp in facts))
    yield gauge(
        "ntp_transmit_source",
        "1 for where true transmit times come from; with kick, from nowhere.",
        (*THREAD, "source"),
        (
            ((*labels, source), ntp["tx_timestamps"] == source)
            for labels, ntp in facts
            for source in TRANSMIT_SOURCES
        ),
    )
    yield counter(
        "ntp_transmit_stamps",
        "True transmit times that were asked for: believed (true), not told (missing), or further "
        "than a second from the kick (disbelieved).",
        (*THREAD, "outcome"),
        (
            ((*labels, outcome), ntp[f"tx_{outcome}"])
            for labels, ntp in facts
            for outcome in ("true", "missing", "disbelieved")
        ),
    )
    errors = HistogramMetricFamily(
        "xdpkit_ntp_transmit_error_seconds",
        "True transmit time less the one in the reply. Of signed values there is no sum.",
        labels=THREAD,
        unit="seconds",
    )
    for labels, ntp in facts:
        errors.add_metric(labels, buckets(ntp["tx_error"]), sum_value=None)
    yield errors


def buckets(error: Mapping[str, int]) -> list[tuple[str, float]]:
    """How many were at most each of BOUNDS_NS, as Prometheus has it: cumulative, in seconds.

    ``error`` has the fine histogram's counts by each bucket's value nearest to zero, nanoseconds.
    """
    counted = [(int(ns), count) for ns, count in error.items()]
    limits = [(str(bound / _NS), bound) for bound in BOUNDS_NS]
    below = [(le, float(sum(n for ns, n in counted if ns <= bound))) for le, bound in limits]
    return [*below, ("+Inf", float(sum(n for _, n in counted)))]
