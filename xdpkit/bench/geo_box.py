"""All memory of a server of an NTP pool, for ``bench --geo``: its zone, a database, NTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from xdpkit.bench import cpu, geo_rates, probe, rows, speed, testbed
from xdpkit.bench.geo_site import ORIGIN, queries
from xdpkit.bench.pool_zone import PoolSize, pool_zone_text
from xdpkit.bench.zones_servers import memory
from xdpkit.bench.zones_site import Say

# What compiled the zone has ended by then, and what it left is given back.
REST_SECONDS = 2.0

Facts = dict[str, Any]


def measure(geoip: Path, servers: int, seconds: float, say: Say) -> Facts:
    """Bytes of all processes of the server, each page counted once: at rest, and after queries."""
    row = rows.Row("box", "dns", 53, queries("", ORIGIN, subnets=True))
    files = {f"zones/{ORIGIN}.json": pool_zone_text(PoolSize(servers))}
    server = rows.OwnServer(geo_rates.configuration(geoip), (row,), files)
    say("memory of the whole box")
    with testbed.own_server(server, cpu.split()[1], [row.name]) as [entry]:
        assert entry.served is not None  # it is ours
        time.sleep(REST_SECONDS)
        side = entry.served.lab.server
        facts: Facts = {
            "processes": len(testbed.pids_in(side)),
            "idle_bytes": memory(testbed.pids_in(side)),
        }
        with cpu.pinned(cpu.split()[0]):
            found = probe.run(entry.generator, seconds, window=speed.WINDOW)
        facts |= {"answered": found.replied, "wrong": found.wrong}
        facts["resident_bytes"] = memory(testbed.pids_in(side))
    return facts
