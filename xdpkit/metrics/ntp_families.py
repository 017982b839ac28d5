"""NTP's metric families: the server's state, its sources, requests, and transmit times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import HistogramMetricFamily, Metric

from xdpkit._core._thread_state import TRANSMIT_SOURCES
from xdpkit.metrics.family import THREAD, StatusPart, Threads, counter, gauge, info
from xdpkit.services.ntp.counts import MODES

# Bits of the version in a packet's first byte: RFC 5905 figure 8.
_VERSIONS = range(8)

# The states of Polled.facts (services/ntp/polled.py).
_STATES = ("synchronised", "holdover", "unsynchronised")

# Inclusive upper bounds: powers of four, up to 4 ms either way. They coincide with bounds of the
# fine histogram (cext/ntp/counts.h), so that no count is on the wrong side: a fine bucket above
# zero ends one nanosecond below a power of two, one below zero at the power itself.
BOUNDS_NS = (*(-(4**k) for k in range(11, 2, -1)), 0, *(4**k - 1 for k in range(3, 12)))

_NS = 1e9


def ntp_families(ntp: StatusPart, threads: Threads) -> Iterator[Metric]:
    """The families of ``ntp`` in the document, and in each thread."""
    yield from _state(ntp)
    yield from _sources(ntp)
    yield from _requests(ntp)
    yield from _transmit(threads)


def _state(ntp: StatusPart) -> Iterator[Metric]:
    """What replies say about this server's clock."""
    source = {"source": ntp["source"] or "", "refid": ntp["refid"]}
    yield info("ntp_source", "Where the time comes from; no source when unsynchronized.", source)
    for name, key, text in (
        ("synchronised", "synchronised", "1 when replies carry a time that a client may use."),
        ("leap", "leap", "Leap indicator of replies; 3 is unsynchronized."),
        ("stratum", "stratum", "Stratum of replies; 0 is unsynchronized."),
        ("root_delay_seconds", "root_delay_s", "Round trip to the primary reference."),
        (
            "root_dispersion_seconds",
            "root_dispersion_s",
            "Root dispersion of replies: the error bound.",
        ),
        (
            "age_seconds",
            "age_s",
            "Time since the last answer of the source; absent when unsynchronized.",
        ),
    ):
        rows = [((), ntp[key])] if ntp[key] is not None else []
        yield gauge(f"ntp_{name}", text, (), rows)


def _sources(ntp: StatusPart) -> Iterator[Metric]:
    sources = {source["name"]: source for source in ntp["sources"]}
    for key, text in (
        ("polls", "Times that the source was polled."),
        ("answers", "Valid answers of the source."),
    ):
        rows = (((name,), source[key]) for name, source in sources.items())
        yield counter(f"ntp_source_{key}", text, ("source",), rows)
    yield counter(
        "ntp_source_ignored",
        "Polls of the source without a valid answer, by reason.",
        ("source", "reason"),
        (
            ((name, reason), count)
            for name, source in sources.items()
            for reason, count in source["ignored"].items()
        ),
    )
    yield gauge(
        "ntp_source_state",
        "1 for the current state of the source.",
        ("source", "state"),
        (
            ((name, state), source["state"] == state)
            for name, source in sources.items()
            for state in _STATES
        ),
    )


def _requests(ntp: StatusPart) -> Iterator[Metric]:
    yield counter(
        "ntp_requests",
        "Requests of at least 48 bytes, by their version field.",
        ("version",),
        (((str(version),), ntp["versions"].get(str(version), 0)) for version in _VERSIONS),
    )
    yield counter(
        "ntp_request_modes",
        "Requests of a supported version, by mode; reserved is a version 1 client.",
        ("mode",),
        (((mode,), ntp["modes"].get(mode, 0)) for mode in MODES.values()),
    )
    yield counter(
        "ntp_authenticated",
        "Authenticated replies by key ID; keys beyond the 255th share a counter.",
        ("key",),
        (((key,), count) for key, count in ntp["keys"].items()),
    )
    text = "Estimated number of distinct client addresses since startup, within about 2 %."
    yield gauge("ntp_clients", text, (), [((), ntp["clients"])])


def _transmit(threads: Threads) -> Iterator[Metric]:
    """What each thread knows about the transmit times of its replies."""
    facts = [(labels, thread["ntp"]) for labels, thread in threads if "ntp" in thread]
    for key, name, text in (
        ("leaked", "leaked", "Requests over the rate limit that were answered anyway."),
        ("clock_steps", "clock_steps", "Steps of UTC, after which saved timestamps were dropped."),
    ):
        yield counter(f"ntp_{name}", text, THREAD, ((labels, ntp[key]) for labels, ntp in facts))
    yield gauge(
        "ntp_transmit_source",
        "1 for the source of true transmit times; kick means that there are none.",
        (*THREAD, "source"),
        (
            ((*labels, source), ntp["tx_timestamps"] == source)
            for labels, ntp in facts
            for source in TRANSMIT_SOURCES
        ),
    )
    yield counter(
        "ntp_transmit_stamps",
        "True transmit times that were requested: accepted (true), not reported (missing), or more "
        "than a second off the kick (disbelieved).",
        (*THREAD, "outcome"),
        (
            ((*labels, outcome), ntp[f"tx_{outcome}"])
            for labels, ntp in facts
            for outcome in ("true", "missing", "disbelieved")
        ),
    )
    errors = HistogramMetricFamily(
        "xdpkit_ntp_transmit_error_seconds",
        "True transmit time minus the one in the reply. Signed values have no sum.",
        labels=THREAD,
        unit="seconds",
    )
    for labels, ntp in facts:
        errors.add_metric(labels, buckets(ntp["tx_error"]), sum_value=None)
    yield errors


def buckets(error: Mapping[str, int]) -> list[tuple[str, float]]:
    """Cumulative counts up to each of BOUNDS_NS, in seconds, as Prometheus requires.

    ``error`` has the counts of the fine histogram by each bucket's value closest to zero, in ns.
    """
    counted = [(int(ns), count) for ns, count in error.items()]
    limits = [(str(bound / _NS), bound) for bound in BOUNDS_NS]
    below = [(le, float(sum(n for ns, n in counted if ns <= bound))) for le, bound in limits]
    return [*below, ("+Inf", float(sum(n for _, n in counted)))]
