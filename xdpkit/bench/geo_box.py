"""All memory of a server of an NTP pool, for ``bench --geo``: its zone, a database, NTP."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from xdpkit.bench import cpu, geo_rates, probe, rows, speed, testbed
from xdpkit.bench.geo_site import ORIGIN, queries
from xdpkit.bench.pool_zone import PoolSize, pool_zone_text
from xdpkit.bench.reloading import reload
from xdpkit.bench.zones_servers import memory
from xdpkit.bench.zones_site import Say
from xdpkit.lab.served import ServedLab

# What compiled the zone has ended by then, and what it left is given back.
REST_SECONDS = 2.0
LOOK_SECONDS = 0.02

Facts = dict[str, Any]


def measure(geoip: Path, servers: int, seconds: float, say: Say) -> Facts:
    """Bytes of all processes of the server, each page counted once.

    At rest, after queries, and at most while a new version of the zone is compiled.
    """
    row = rows.Row("box", "dns", 53, queries("", ORIGIN, subnets=True))
    files = {f"zones/{ORIGIN}.json": _zone(servers)}
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
        (entry.served.path / "zones" / f"{ORIGIN}.json").write_text(_zone(servers, seed=2))
        facts["reload_bytes"] = _most_during_a_reload(entry.served)
    return facts


def _zone(servers: int, seed: int = 1) -> str:
    return pool_zone_text(PoolSize(servers), seed)


def _most_during_a_reload(served: ServedLab) -> int:
    """The most that all processes had at once, as often as it was looked at."""
    most = 0
    with ThreadPoolExecutor(1) as thread:
        reloading = thread.submit(reload, served)
        while not reloading.done():
            most = max(most, memory(testbed.pids_in(served.lab.server)))
            time.sleep(LOOK_SECONDS)
        reloading.result()
    return most
