"""Statistics of measurements: medians with their range, ratios, percentiles by name."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

# The percentiles that are reported, by their names as JSON keys.
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99_9": 99.9, "max": 100.0}


def spread(name: str, values: Sequence[float]) -> dict[str, float]:
    """``name``: the median; ``name_min`` and ``name_max``: the extremes. {} without values."""
    if not values:
        return {}
    return {
        name: statistics.median(values),
        f"{name}_min": min(values),
        f"{name}_max": max(values),
    }


def spreads(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """``spread`` of every figure over several rounds; a figure may be missing from some."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    facts: dict[str, float] = {}
    for name in names:
        facts |= spread(name, [figures[name] for figures in rounds if name in figures])
    return facts


def latencies_us(latency_ns: Callable[[float], int]) -> dict[str, float]:
    """The percentiles in microseconds; ``latency_ns`` gives a histogram's value at a percent."""
    return {name: latency_ns(percentile) / 1e3 for name, percentile in PERCENTILES.items()}


def histogram_delta(after: Mapping[str, int], before: Mapping[str, int]) -> dict[int, int]:
    """What a histogram counted between two readings, by bucket, in ascending order."""
    counted = {int(at): count - before.get(at, 0) for at, count in after.items()}
    return {at: counted[at] for at in sorted(counted) if counted[at]}


def percentile(counts: Mapping[int, int], percent: float) -> int:
    """The bucket that holds this percentile; the histogram is in ascending order.

    Raises ValueError if nothing was counted.
    """
    seen, wanted = 0, sum(counts.values()) * percent / 100
    for at, count in counts.items():
        seen += count
        if seen >= wanted:
            return at
    raise ValueError("a percentile of an empty histogram")


def ratio(value: float, base: float) -> float:
    """``value`` over ``base``; 0 if the base is 0."""
    return value / base if base else 0.0


def loss(sent: int, answered: int) -> float:
    """The share of requests without an answer."""
    return ratio(max(sent - answered, 0), sent)
