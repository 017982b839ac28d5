"""Latency in metrics: classic buckets for all, native histograms for who can read them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics_document import document
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as classic_families

from xdpkit._core._stats import VERDICTS
from xdpkit._core._thread_state import latency_floor, latency_index
from xdpkit.metrics import native
from xdpkit.metrics.families import families
from xdpkit.metrics.server import encode
from xdpkit.status.latency import BOUNDS_NS, latency_facts

pytestmark = pytest.mark.skipif(not native.IS_KNOWN, reason="an older prometheus-client")

NAME = "xdpkit_latency_seconds"
NEWEST = "application/openmetrics-text; version=2.0.0, text/plain"


def scraped(times: list[int], accepted: str) -> str:
    counts: dict[int, int] = {}
    for ns in sorted(times):
        floor = latency_floor(latency_index(ns))
        counts[floor] = counts.get(floor, 0) + 1
    built = document({2: [0] * len(VERDICTS)}, {})
    counted = {"sum_ns": sum(times), "from_loop": 0, "buckets": counts}
    built["queues"]["2"] |= latency_facts(counted, "xdp")
    return encode(families(built, VERDICTS), accepted)[0].decode()


def of_latency(found: Any) -> list[Any]:
    return [sample for family in found if family.name == NAME for sample in family.samples]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_native_buckets_hold_every_answer(times: list[int]) -> None:
    text = scraped(times, NEWEST)
    lines = [line for line in text.splitlines() if line.startswith(NAME + "{")]
    [line] = [line for line in lines if "schema:" in line]
    assert f"count:{len(times)}," in line and f"schema:{native.SCHEMA}," in line
    [spans, deltas] = re.findall(r"positive_(?:spans|deltas):\[([^]]*)\]", line)
    index, count, bounds = 0, 0, []
    left = [int(delta) for delta in deltas.split(",")]
    for span in spans.split(","):
        offset, length = map(int, span.split(":"))
        index += offset
        for _ in range(length):
            count += left.pop(0)
            bounds += [2 ** (index / 2**native.SCHEMA)] * count
            index += 1
    assert not left and len(bounds) == len(times)
    for bound, ns in zip(bounds, sorted(times), strict=True):
        assert 0.98 <= bound * 1e9 / max(ns, 1) <= 1.07


def test_the_bound_of_a_bucket_is_just_above_its_times() -> None:
    for ns in (100, 1000, 12_345, 10**6, 10**8):
        made = native.native_histogram({str(latency_floor(latency_index(ns))): 1}, ns)
        assert made.pos_spans is not None
        [span] = made.pos_spans
        bound = 2 ** (span.offset / 2**native.SCHEMA)
        assert 0.98 <= bound / (ns / 1e9) <= 1.07


@pytest.mark.parametrize("accepted", ["text/plain", "application/openmetrics-text"])
def test_others_get_classic_buckets_only(accepted: str) -> None:
    text = scraped([2000, 3000, 5_000_000], accepted)
    parse = classic_families if accepted == "text/plain" else text_string_to_metric_families
    samples = of_latency(parse(text))
    assert {sample.name for sample in samples} == {
        f"{NAME}_bucket",
        f"{NAME}_count",
        f"{NAME}_sum",
    }
    buckets = [sample for sample in samples if sample.name.endswith("_bucket")]
    assert len(buckets) == len(BOUNDS_NS) + 1
    assert [buckets[0].value, buckets[-1].value] == [0, 3]
