"""Metric families of each kind in use, from a name and rows of labels and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float]]

# The document of ``xdpkit status --json``, or a part of it.
StatusPart = Mapping[str, Any]

# Of every answering thread: the values of THREAD's labels, and its part of the document.
Threads = Sequence[tuple[Labels, StatusPart]]
THREAD = ("path", "queue")


def counter(name: str, text: str, labels: Labels, rows: Rows) -> Metric:
    """A family of counters, each a row of label values and a count; ``_total`` is appended."""
    family = CounterMetricFamily(f"xdpkit_{name}", text, labels=labels)
    for values, count in rows:
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, labels: Labels, rows: Rows) -> Metric:
    """The same for values that go up and down; the suffix of the name is the unit."""
    unit = "seconds" if name.endswith("_seconds") else ""
    family = GaugeMetricFamily(f"xdpkit_{name}", text, labels=labels, unit=unit)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def info(name: str, text: str, facts: Mapping[str, str]) -> Metric:
    """StatusPart as labels, with the value 1; ``_info`` is appended."""
    family = Metric(f"xdpkit_{name}", text, "info")
    family.add_sample(f"xdpkit_{name}_info", dict(facts), 1)
    return family
