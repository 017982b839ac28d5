"""Metrics under GeoDNS's names: what its dashboards find, and what is not pretended."""

from __future__ import annotations

import time

import pytest
from metrics_document import OBTAINED, document
from metrics_samples import Samples

from xdpkit._core._stats import VERDICTS
from xdpkit.metrics.families import families
from xdpkit.metrics.geodns_families import GeodnsInstance, geodns_families
from xdpkit.metrics.server import encode

INSTANCE = GeodnsInstance("ns1", "192.0.2.1")


def read_back(counts: dict[str, int], accepted: str = "") -> Samples:
    """A scrape of a queue and a listener that counted the same."""
    row = [counts.get(verdict.name, 0) for verdict in VERDICTS]
    built = document({2: row}, {}, row)
    found = [*families(built, VERDICTS), *geodns_families(built, INSTANCE)]
    text, kind = encode(found, accepted)
    return Samples(text.decode(), kind)


def queries(found: Samples) -> dict[tuple[str, str], float]:
    return {
        (dict(labels)["qname"], dict(labels)["rcode"]): value
        for (name, labels), value in found.items()
        if name == "dns_queries_total"
    }


@pytest.mark.parametrize("accepted", ["", "application/openmetrics-text"])
def test_queries_by_rcode(accepted: str) -> None:
    counts = {"dns_noerror": 1, "dns_nodata": 10, "dns_referral": 100, "dns_truncated": 1000}
    found = read_back(counts | {"dns_nxdomain": 7}, accepted)
    assert queries(found) == {("_", "NOERROR"): 2222, ("_error", "NXDOMAIN"): 14}
    assert ("dns_queries_total", frozenset({("qname", "_"), ("rcode", "NOERROR")})) in (
        found.counters
    )


def test_what_geodns_does_not_count_is_not_counted() -> None:
    counted = {"dns_noerror", "dns_nodata", "dns_referral", "dns_truncated", "dns_nxdomain"}
    found = read_back({verdict.name: 1 for verdict in VERDICTS if verdict.name not in counted})
    assert queries(found) == {("_", "NOERROR"): 0, ("_error", "NXDOMAIN"): 0}


def test_the_instance_and_its_start() -> None:
    before = time.time()
    found = read_back({})
    labels = frozenset({"ID": "ns1", "IP": "192.0.2.1", "Group": ""}.items())
    assert found["geodns_instance_info", labels] == 1
    started = found["geodns_start_time_seconds", frozenset()]
    assert abs(started - (before - OBTAINED.uptime_s)) < 60
