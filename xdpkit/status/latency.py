"""How long answers were inside, as a part of the status document, and as histograms for metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xdpkit._core._thread_state import latency_floor, latency_index

QUANTILES = (0.5, 0.9, 0.99, 0.999)

# Inclusive upper bounds in ns, one below a power of two from 1 us to half a second: there buckets
# of the fine histogram end (cext/runtime/latency.h), so that no count is on the wrong side.
BOUNDS_NS = tuple(2**power - 1 for power in range(10, 30))


def latency_facts(counted: Mapping[str, Any], stamp: str) -> dict[str, Any]:
    """Of one thread: ``counted`` is its ThreadState.latency(), ``stamp`` where times begin.

    ``latency`` has the counts by the least ns of a bucket, as text, since JSON has no other keys.
    """
    counts: Mapping[int, int] = counted["buckets"]
    total = sum(counts.values())
    return {
        "latency_ns": _quantiles(counts, total),
        "latency": {str(floor): count for floor, count in counts.items()},
        "latency_sum_ns": counted["sum_ns"],
        "latency_from": "loop" if 2 * counted["from_loop"] > total else stamp,
    }


def _quantiles(counts: Mapping[int, int], total: int) -> dict[str, int]:
    """By name, in ns: the middle of the bucket that a quantile falls in; empty without answers."""
    found: dict[str, int] = {}
    seen = 0
    for floor, count in counts.items():
        seen += count
        for quantile in QUANTILES[len(found) :]:
            if seen < quantile * total:
                break
            found[f"p{100 * quantile:g}"] = middle(floor)
        else:
            found["max"] = middle(floor)
    return found


def middle(floor: int) -> int:
    """The middle of the bucket with this least value: within 1.6 % of every value in it."""
    return (floor + latency_floor(latency_index(floor) + 1) - 1) // 2


def cumulative(latency: Mapping[str, int]) -> list[tuple[str, float]]:
    """Counts up to each of BOUNDS_NS in seconds, as Prometheus's classic histograms have them."""
    counted = [(int(ns), count) for ns, count in latency.items()]
    up_to = [
        (str(bound / 1e9), float(sum(n for ns, n in counted if ns <= bound))) for bound in BOUNDS_NS
    ]
    return [*up_to, ("+Inf", float(sum(n for _, n in counted)))]
