"""A scrape, read by the parsers of prometheus_client."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

Labels = frozenset[tuple[str, str]]


class Samples(dict[tuple[str, Labels], float]):
    """Values by name and labels, without duplicates. ``kind`` is the text's media type."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__()
        self.helps: dict[str, str] = {}
        self.counters: set[tuple[str, Labels]] = set()
        is_openmetrics = kind.startswith("application/openmetrics-text")
        for family in (openmetrics if is_openmetrics else plain)(text):
            self.helps[family.name] = family.documentation
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self
                self[key] = sample.value
                if family.type in ("counter", "histogram"):
                    self.counters.add(key)

    def of(self, name: str, **labels: str) -> float:
        return self[f"xdpkit_{name}", frozenset(labels.items())]

    def named(self, name: str) -> dict[Labels, float]:
        """All samples of one name, by labels."""
        return {labels: value for (of, labels), value in self.items() if of == f"xdpkit_{name}"}
