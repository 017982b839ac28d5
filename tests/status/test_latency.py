"""The histogram of latencies: its buckets, and what is reported of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._thread_state import latency_floor, latency_index
from xdpkit.status.latency import BOUNDS_NS, cumulative, latency_facts, middle

SECOND = 10**9


@given(st.integers(0, SECOND))
def test_the_middle_of_a_bucket_is_within_two_percent(ns: int) -> None:
    floor = latency_floor(latency_index(ns))
    assert floor <= ns < latency_floor(latency_index(ns) + 1)
    assert abs(middle(floor) - ns) <= 0.016 * ns


def test_no_bucket_reaches_over_a_bound() -> None:
    for bound in BOUNDS_NS:
        assert latency_floor(latency_index(bound) + 1) == bound + 1


@given(st.lists(st.integers(0, SECOND), min_size=1, max_size=200))
def test_quantiles_and_sums(times: list[int]) -> None:
    counts: dict[int, int] = {}
    for ns in sorted(times):
        floor = latency_floor(latency_index(ns))
        counts[floor] = counts.get(floor, 0) + 1
    counted = {"sum_ns": sum(times), "from_loop": 0, "buckets": counts}
    facts = latency_facts(counted, "xdp")
    ordered = sorted(times)
    exact = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    assert list(facts["latency_ns"]) == list(exact)
    for name, quantile in exact.items():
        rank = next(i for i in range(1, len(times) + 1) if i >= quantile * len(times))
        value = ordered[rank - 1]
        assert abs(facts["latency_ns"][name] - value) <= 0.016 * value
    assert facts["latency_from"] == "xdp"
    buckets = cumulative(facts["latency"])
    assert buckets[-1] == ("+Inf", len(times))
    for (_, found), bound in zip(buckets[:-1], BOUNDS_NS, strict=True):
        assert found == sum(ns <= bound for ns in times)


def test_without_answers() -> None:
    facts = latency_facts({"sum_ns": 0, "from_loop": 0, "buckets": {}}, "kernel")
    assert facts["latency_ns"] == {} and facts["latency_from"] == "kernel"


def test_from_the_loop_if_most_have_no_stamp() -> None:
    counted = {"sum_ns": 30, "from_loop": 2, "buckets": {10: 3}}
    assert latency_facts(counted, "xdp")["latency_from"] == "loop"
