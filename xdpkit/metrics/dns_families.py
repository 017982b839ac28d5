"""What was asked and answered over DNS, as metric families: [dns] statistics.

The names are those of Knot DNS's mod-stats where it has one. Sizes are histograms by 16 bytes,
which Prometheus gets in a few buckets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client.core import HistogramMetricFamily, Metric

from xdpkit.metrics.family import StatusPart, counter

# Sizes, in bytes, up to which messages are counted: those at which something changes.
_QUERY_BOUNDS = (32, 48, 64, 96, 128, 288)
_REPLY_BOUNDS = (64, 128, 256, 512, 1232, 1472, 4096)


def dns_families(traffic: StatusPart) -> Iterator[Metric]:
    """The families of ``dns.traffic``."""
    for name, label, key, text in (
        ("dns_queries_by_protocol", "protocol", "protocols", "Queries by protocol, as mod-stats."),
        ("dns_queries_by_type", "type", "types", "Queries by type; other: all rare ones."),
        ("dns_queries_by_zone", "zone", "zones", "Queries by the zone that answered them."),
    ):
        rows = (((value,), count) for value, count in traffic[key].items())
        yield counter(name, text, (label,), rows)
    yield counter("dns_queries_edns", "Queries with EDNS.", (), [((), traffic["edns"])])
    yield counter("dns_queries_do", "Queries with DO, for DNSSEC.", (), [((), traffic["do"])])
    yield _sizes("dns_query_size_bytes", "Queries by size.", traffic, "query", _QUERY_BOUNDS)
    yield _sizes("dns_reply_size_bytes", "Replies by size.", traffic, "reply", _REPLY_BOUNDS)


def _sizes(name: str, text: str, traffic: StatusPart, what: str, bounds: tuple[int, ...]) -> Metric:
    """A histogram of sizes, whose buckets end where one of 16 bytes does."""
    counts: Mapping[str, int] = traffic[f"{what}_sizes"]
    below = [0] * (len(bounds) + 1)
    for sizes, count in counts.items():
        first = int(sizes.partition("-")[0])
        below[sum(first >= bound for bound in bounds)] += count
    totals = list(accumulate(below))
    family = HistogramMetricFamily(f"xdpkit_{name}", text, unit="bytes")
    # Of 16 bytes from a bound on, the bucket up to it has none: it ends one byte below.
    buckets = [(f"{bound - 1}", total) for bound, total in zip(bounds, totals, strict=False)]
    family.add_metric((), [*buckets, ("+Inf", totals[-1])], traffic[f"{what}_bytes"])
    return family
