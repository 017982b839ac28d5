"""An NTP pool's zone that changes under load, for ``bench --reloads``, and the old pool's burst.

Every version of the zone has a TTL and addresses of its own. All replies are checked by their
TTLs, in C; a client beside the load checks addresses, too, and that no server is in an answer
after another answer has shown that it is unhealthy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from xdpkit.bench import cpu, geo_site, reloading, rows, testbed, zones_load
from xdpkit.bench.beside import beside
from xdpkit.bench.geo_sampler import Sampler
from xdpkit.bench.geo_site import Sizes
from xdpkit.bench.geo_versions import PoolVersions
from xdpkit.bench.reloading import reload
from xdpkit.bench.steady_load import steady_load
from xdpkit.bench.table import text_table
from xdpkit.bench.zones_servers import memory
from xdpkit.bench.zones_show import control
from xdpkit.bench.zones_site import Say
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import spread
from xdpkit.loadgen.queries import draw

# A reload every so often, as long as it takes less.
EVERY_SECONDS = 2.0
# Before memory is read: the first ones make what the others use again.
WARM_UP = 5
SETTLE_SECONDS = 1.0
# More than can be compiled during a burst.
PREPARED = 8
# The names that clients ask for.
NAMES = ("", "0", "1", "2", "3")

_DNS = """\
[dns]
zones = "{zones}"
geoip = "{geoip}"
watch = false
[dns.geo]
health = "{health}"
"""

Facts = dict[str, Any]


def measure(reloads: int, rate: int, say: Say, sizes: Sizes | None = None) -> Facts:
    """``pool``: reloads under load; ``burst``: queries while the zone is compiled."""
    sizes = sizes or Sizes()
    with TemporaryDirectory(prefix="xdpkit-bench-") as scratch:
        servers = sizes.servers
        site = Site(Path(scratch), servers, sizes.country_depth)
        with site.served() as entry:
            pool = under_load(entry, site, reloads, rate, say)
            burst = bursts_while_compiling(entry, site, sizes.bursts, sizes.burst_rate, say)
    return {"pool": {"servers": servers} | pool, "burst": burst}


class Site:
    """The pool's zone in its versions, a database, and a file of statuses."""

    def __init__(self, scratch: Path, servers: int, depth: int) -> None:
        self.zones, self.geoip, self.health = (scratch / name for name in ("z", "geoip", "health"))
        for directory in (self.zones, self.geoip, self.health):
            directory.mkdir()
        geo_site.write_country_database(self.geoip, depth)
        self.versions = PoolVersions(servers)
        self.version = 0
        self.healthy = 1
        self.write_next()
        self.change_health()

    def prepare(self, count: int, say: Say) -> None:
        """Writes the next versions beforehand: under load it would cost the generator its turn."""
        for version in range(self.version + 1, self.version + 1 + count):
            say(f"the pool's zone: writing version {version}")
            self._prepared(version).write_text(self.versions.zone_text(version))

    def _prepared(self, version: int) -> Path:
        return self.zones / f".{version}"

    def write_next(self) -> None:
        """Replaces the zone's file by the next version."""
        self.version += 1
        path = self._prepared(self.version)
        if not path.exists():
            path.write_text(self.versions.zone_text(self.version))
        path.rename(self.zones / f"{geo_site.ORIGIN}.json")

    def change_health(self) -> None:
        """Has the other one of the two servers healthy, and other ones of all the rest."""
        self.healthy = 1 - self.healthy
        _replace(self.health / "pool.json", self.versions.status_text(self.healthy))

    @contextmanager
    def served(self) -> Iterator[testbed.Entry]:
        """A server for it on its own CPU, which the zone compiler shares."""
        dns = _DNS
        for name in ("zones", "geoip", "health"):
            dns = dns.replace(f"{{{name}}}", str(getattr(self, name)))
        asked = [geo_site.queries(name, geo_site.ORIGIN, subnets=True) for name in NAMES]
        row = rows.Row("pool", "dns", 53, draw([query for each in asked for query in each]))
        server = rows.OwnServer(rows.configuration(dns), (row,))
        with testbed.own_server(server, cpu.split()[1], [row.name]) as [entry]:
            yield entry


def _replace(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text)
    part.rename(path)


def under_load(entry: testbed.Entry, site: Site, reloads: int, rate: int, say: Say) -> Facts:
    """Loads new versions, and changes health between them; every reply is checked."""
    served, load = _served(entry), entry.generator
    site.prepare(WARM_UP + reloads, say)
    for _ in range(WARM_UP):
        say("the pool's zone: warming up")
        _next_version(served, site)
    idle = dict.fromkeys(zones_load.COUNTED, 0)
    zones_load.add(idle, zones_load.send(load, rate))
    load.clear()
    load.watch_versions()
    taken: dict[str, list[float]] = {"reload": [], "health": [], "resident": []}
    before, dropped = memory(testbed.pids_in(served.lab.server)), _dropped(served)
    with Sampler(served.lab, site.versions) as sampler:
        with steady_load(load, rate):
            for number in range(reloads):
                say(f"the pool's zone: {reloads - number} reloads to go at {rate:,} requests/s")
                due = time.monotonic() + EVERY_SECONDS
                taken["reload"].append(_next_version(served, site))
                site.change_health()
                taken["health"].append(sampler.await_health(site.healthy))
                time.sleep(max(due - time.monotonic(), 0))
                taken["resident"].append(memory(testbed.pids_in(served.lab.server)))
        time.sleep(SETTLE_SECONDS)
        return {
            **reloading.outcome(load, taken["reload"], rate),
            **spread("health_s", taken["health"]),
            "idle": idle,
            "dropped": _dropped(served) - dropped,
            "sampled": sampler.sampled,
            "unanswered": sampler.unanswered,
            "mixed": sampler.mixed,
            "stale": sampler.stale,
            "resident_before": before,
            "resident_after": memory(testbed.pids_in(served.lab.server)),
            "resident_bytes": taken["resident"],
        }


def bursts_while_compiling(
    entry: testbed.Entry, site: Site, rounds: int, rate: int, say: Say
) -> Facts:
    """As many queries as the old pool's server got, while the zone is compiled all the time."""
    served, load = _served(entry), entry.generator
    idle, total = (dict.fromkeys(zones_load.COUNTED, 0) for _ in range(2))
    seconds: list[float] = []
    for number in range(rounds):
        site.prepare(PREPARED, say)
        say(f"the pool's burst, round {number + 1} of {rounds}")
        zones_load.add(idle, zones_load.send(load, rate))
        with _compiling(served, site, seconds):
            time.sleep(zones_load.HEAD_START)
            zones_load.add(total, zones_load.send(load, rate))
    return {
        "queries": round(rate * zones_load.SECONDS),
        "seconds": zones_load.SECONDS,
        "rounds": rounds,
        "compiled": len(seconds),
        "total": total,
        "idle": idle,
        **spread("reload_s", seconds),
    }


@contextmanager
def _compiling(served: ServedLab, site: Site, seconds: list[float]) -> Iterator[None]:
    """Loads one version after the other; ``seconds`` gets what each took."""

    def work(goes_on: Callable[[], bool]) -> None:
        while goes_on():
            seconds.append(_next_version(served, site))

    with beside(work):
        yield


def _dropped(served: ServedLab) -> int:
    """Requests that found no room on the server's ring; others were lost by the generator."""
    return int(served.status()["queues"]["0"]["socket"]["rx_dropped"])


def _next_version(served: ServedLab, site: Site) -> float:
    site.write_next()
    return reload(served)


def _served(entry: testbed.Entry) -> ServedLab:
    assert entry.served is not None  # it is ours
    return entry.served


def failures(facts: Facts) -> list[str]:
    """What makes the run fail."""
    pool, burst = facts["pool"], facts["burst"]["total"]
    found = reloading.failures("the pool's zone", pool)
    if pool["mixed"]:
        found.append(f"the pool's zone: {pool['mixed']:,} answers of two versions")
    if pool["stale"]:
        found.append(f"the pool's zone: {pool['stale']:,} answers with an unhealthy server")
    return found + [
        f"the pool's burst: {burst[what]:,} {what}" for what in ("wrong", "lost") if burst[what]
    ]


def tables(facts: Facts) -> Iterator[Any]:
    """For a human reader."""
    pool, burst = facts["pool"], facts["burst"]
    resident = [f"{pool[f'resident_{when}'] / 1e6:,.1f}" for when in ("before", "after")]
    yield text_table(
        [f"{pool['reloads']} reloads of a pool's zone of {pool['servers']:,} servers", ""],
        [
            *reloading.table_rows(pool),
            ["lost at the server's ring", f"{pool['dropped']:,}; {control(pool)}"],
            [
                "sampled: of two versions / unhealthy / unanswered",
                f"{pool['sampled']:,}: {pool['mixed']:,} / {pool['stale']:,} / "
                f"{pool['unanswered']:,}",
            ],
            [
                "a change of health, s: median (least..most)",
                f"{pool['health_s']:.2f} ({pool['health_s_min']:.2f}..{pool['health_s_max']:.2f})",
            ],
            [
                "resident, MB: before, after, at most",
                f"{', '.join(resident)}, {max(pool['resident_bytes']) / 1e6:,.1f}",
            ],
        ],
    )
    total = burst["total"]
    yield text_table(
        [f"{burst['queries']:,} queries within {burst['seconds']:g} s", ""],
        [
            ["times, zones compiled meanwhile", f"{burst['rounds']}, {burst['compiled']}"],
            ["sent", f"{total['sent']:,}"],
            ["wrong or of two versions / lost", f"{total['wrong']:,} / {total['lost']:,}"],
            ["", control(burst)],
            ["a reload, s: median", f"{burst['reload_s']:.2f}"],
        ],
    )
