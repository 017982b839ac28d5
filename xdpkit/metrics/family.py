"""One metric family, of the kinds that there are here, from a name and rows of labels and value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Labels = tuple[str, ...]
Rows = Iterable[tuple[Labels, float]]

# A part of the document of ``xdpkit status --json``.
Facts = Mapping[str, Any]

# Every answering thread: the values of THREAD's labels, and its part of the document.
Threads = Sequence[tuple[Labels, Facts]]
THREAD = ("path", "queue")


def counter(name: str, text: str, labels: Labels, rows: Rows) -> Metric:
    """A family of counters, a row of label values and a count for each; ``_total`` is added."""
    family = CounterMetricFamily(f"xdpkit_{name}", text, labels=labels)
    for values, count in rows:
        family.add_metric(values, count)
    return family


def gauge(name: str, text: str, labels: Labels, rows: Rows) -> Metric:
    """The same for what goes up and down; the end of a name says its unit."""
    unit = "seconds" if name.endswith("_seconds") else ""
    family = GaugeMetricFamily(f"xdpkit_{name}", text, labels=labels, unit=unit)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def info(name: str, text: str, facts: Mapping[str, str]) -> Metric:
    """What is true by its labels: the value is 1; ``_info`` is added."""
    family = Metric(f"xdpkit_{name}", text, "info")
    family.add_sample(f"xdpkit_{name}_info", dict(facts), 1)
    return family
