"""Latency as Prometheus's native histograms, where the client library has them.

Their buckets grow by a constant factor (https://prometheus.io/docs/specs/native_histograms/): each
count goes where the middle of its own bucket lies. Only OpenMetrics 2.0 can say them in text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import samples

from xdpkit.status.latency import middle

if TYPE_CHECKING:
    from prometheus_client.samples import NativeHistogram

# 16 buckets for each power of two: 4.4 % wide, of which ours is a third.
SCHEMA = 4

IS_KNOWN = hasattr(samples, "NativeHistogram")
"""Whether the library has them."""


def native_histogram(latency: Mapping[str, int], sum_ns: int) -> NativeHistogram:
    """From counts by the least ns of a bucket, in seconds."""
    counts = Counter[int]()
    for floor, count in latency.items():
        # Bucket i ends with 2 ** (i / 2 ** SCHEMA). Zero would have none.
        ns = max(middle(int(floor)), 1)
        counts[math.ceil(math.log2(ns / 1e9) * 2**SCHEMA)] += count
    spans: list[list[int]] = []
    deltas, before, next_index = [], 0, 0
    for index, count in sorted(counts.items()):
        if spans and index == next_index:
            spans[-1][1] += 1
        else:
            spans.append([index - next_index, 1])
        deltas.append(count - before)
        before, next_index = count, index + 1
    return samples.NativeHistogram(
        count_value=sum(counts.values()),
        sum_value=sum_ns / 1e9,
        schema=SCHEMA,
        zero_threshold=0.0,
        zero_count=0,
        pos_spans=[samples.BucketSpan(*span) for span in spans] or None,
        pos_deltas=deltas or None,
    )
