"""Metrics under the names that GeoDNS has for them, so that its dashboards and alerts go on.

Only what is known without counting more for a packet: docs/geodns.md lists what is left out. Names
and labels are those of GeoDNS 3 (``server/server.go``, ``server/serve.go``).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from xdpkit.metrics.family import StatusPart

# GeoDNS's label qname of answers without a name, and of all others unless it counts in detail.
_ERROR, _ANY = "_error", "_"

# By qname and rcode, the verdicts on queries that GeoDNS would have counted: answers of a zone.
_COUNTED: Mapping[tuple[str, str], tuple[str, ...]] = {
    (_ANY, "NOERROR"): ("dns_noerror", "dns_nodata", "dns_referral", "dns_truncated"),
    (_ERROR, "NXDOMAIN"): ("dns_nxdomain",),
}


class GeodnsInstance(NamedTuple):
    """What ``geodns_instance_info`` says of this server."""

    id: str
    ip: str
    """One of its addresses; empty without any."""


def geodns_families(document: StatusPart, instance: GeodnsInstance) -> Iterator[Metric]:
    """The families of one document of ``xdpkit status --json``."""
    verdicts = document["verdicts"]
    queries = CounterMetricFamily(
        "dns_queries", "Number of served queries", labels=("qname", "rcode")
    )
    for labels, names in _COUNTED.items():
        queries.add_metric(labels, sum(verdicts[name] for name in names))
    yield queries
    # A gauge, as it is there.
    known = GaugeMetricFamily(
        "geodns_instance_info", "GeoDNS instance information", labels=("ID", "IP", "Group")
    )
    known.add_metric((instance.id, instance.ip, ""), 1)
    yield known
    started = time.time() - document["uptime_s"]
    text = "Unix time process started"
    yield GaugeMetricFamily("geodns_start_time_seconds", text, value=started)
