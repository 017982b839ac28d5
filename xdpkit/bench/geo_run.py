"""``bench --geo``: answers by location and weight: rates, nanoseconds, databases, memory.

The first table has what was to be reached.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xdpkit.bench import geo_box, geo_load, geo_offwire, geo_rates, geo_site
from xdpkit.bench.geo_show import show
from xdpkit.bench.geo_site import Sizes
from xdpkit.bench.zones_site import Say
from xdpkit.services.dns.geo.location_db import CITY

__all__ = ["measure", "show"]

ROUNDS, SECONDS = 3, 1.0

Facts = dict[str, Any]


def measure(options: Namespace, say: Say, sizes: Sizes | None = None) -> Facts:
    """All parts, one after the other; ``failed`` lists wrong replies."""
    sizes = sizes or Sizes()
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    with tempfile.TemporaryDirectory(prefix="xdpkit-geo-") as temporary:
        scratch = Path(temporary)
        zones, geoip = scratch / "zones", scratch / "geoip"
        for directory in (zones, geoip):
            directory.mkdir()
        say("writing zones and databases")
        geo_site.write_zones(zones, sizes.servers)
        country = geo_site.write_country_database(geoip, sizes.country_depth)
        city = geo_site.kept_city_database(sizes, say)
        facts: Facts = {
            "servers": sizes.servers,
            "rounds": rounds,
            "seconds": seconds,
            "load_per_s": options.load,
            "networks": {"country": 1 << sizes.country_depth, "city": 1 << sizes.city_depth},
            "load_average": os.getloadavg()[0],
            "offwire": geo_offwire.measure(
                zones,
                country,
                scratch,
                max(rounds, geo_offwire.ROUNDS),
                shutil.which("valgrind"),
                say,
            ),
            **geo_rates.measure(
                geo_site.geo_zone(sizes.servers), geoip, rounds, seconds, options.load, say
            ),
            "box": geo_box.measure(geoip, sizes.servers, seconds, say),
            "database": geo_load.measure(city, CITY, scratch, rounds, say),
        }
    facts["targets"] = [*targets(facts)]
    return facts | {"failed": failures(facts)}


def targets(facts: Facts) -> Iterator[Facts]:
    """What was to be reached, and what was: the ratio of the two."""
    rates = {row["name"]: row for row in facts["rates"]}
    offwire = {row["name"]: row for row in facts["offwire"]}
    database = facts["database"]
    yield _target("answers/s over plain ones", rates[geo_rates.GEO]["over_plain"], least=0.95)
    for case, most in ((geo_offwire.POOL, 80), (geo_offwire.SHORT, 60)):
        yield _target(f"off the wire, {case.name}, ns", offwire[case.name]["ns"], most)
    cities = f"{facts['networks']['city']:,} networks"
    yield _target(f"{cities} read, s", database["first_seconds"], 30)
    yield _target(f"{cities} read, MB at most", database["first_peak_bytes"] / 1e6, 200)
    yield _target(f"{cities} from the cache, s", database["cached_seconds"], 1)
    yield _target("the whole box resident, MB", facts["box"]["resident_bytes"] / 1e6, 256)


def _target(what: str, value: float, most: float = 0, *, least: float = 0) -> Facts:
    target = least or most
    met = value >= target if least else value <= target
    return {
        "what": what,
        "value": value,
        "target": target,
        "bound": "at least" if least else "at most",
        "ratio": value / target,
        "met": met,
    }


def failures(facts: Facts) -> list[str]:
    """What makes the run fail; a target that is missed does not."""
    found = geo_rates.failures(facts["rates"])
    box = facts["box"]
    if box["wrong"]:
        found.append(f"the whole box: {box['wrong']:,} wrong replies")
    return found
