"""What it takes to find an address's class: nanoseconds and instructions, by the view's size.

tools/dev python -P -m xdpkit.bench.geo_view
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from ipaddress import ip_network
from pathlib import Path

from rich.console import Console

from xdpkit._core._geo_view import GeoView
from xdpkit.bench.location_database import write_city_database
from xdpkit.bench.table import text_table
from xdpkit.errors import XdpkitError
from xdpkit.runtime import child
from xdpkit.services.dns.geo.continents import CONTINENTS
from xdpkit.services.dns.geo.location_db import CITY, COUNTRY
from xdpkit.services.dns.geo.location_table import table_of_prefixes
from xdpkit.services.dns.geo.locations import Locations, read_locations
from xdpkit.services.dns.geo.places import NOTHING, Fact, PlaceList, PlaceTable
from xdpkit.services.dns.geo.targets import Location, Targeting
from xdpkit.services.dns.geo.view import make_view

# Of the invented databases: networks of IPv4 as a power of two. As many as MaxMind's have.
DEPTHS = {"country": 18, "city": 22}
IPV6_NETWORKS = {"country": 100_000, "city": 1_000_000}

LOOKUPS, ROUNDS, COUNTED = 1 << 20, 7, 1 << 14


def block(scratch: Path, depth: int, ipv6: int) -> bytes:
    """The view of a zone with labels for all countries and continents, and 20 regions of each."""
    path = scratch / "database.mmdb"
    write_city_database(path, depth, 200_000 if depth > 20 else 1000)
    tables = dict(read_locations({CITY: path}).tables)
    tables[COUNTRY] = ipv6_table(ipv6)
    targets = {*CONTINENTS, *CONTINENTS.values()}
    if depth > 20:
        targets |= {f"{country}-{region}" for country in CONTINENTS for region in range(20)}
    return make_view(Locations(tables), frozenset(targets), Targeting(127)).block


def ipv6_table(count: int) -> PlaceTable:
    """Networks of 2a00::/12, a few in each /32, in any countries."""
    rng = random.Random(1)
    facts: list[Fact] = [(Location(country), None) for country in sorted(CONTINENTS)]
    numbers = {0x2A0 << 36 | rng.getrandbits(20) << 16 | rng.getrandbits(2) for _ in range(count)}
    prefixes = [(ip_network((number << 80, 48)), rng.choice(facts)) for number in numbers]
    table, places = table_of_prefixes(prefixes, NOTHING), PlaceList()
    for fact in table.values[1:]:
        places.add(fact)
    return PlaceTable(table.ipv4, table.ipv6, places.places())


def addresses(ip_version: int, count: int) -> bytes:
    """Packed: any of IPv4, those of 2a00::/12."""
    rng = random.Random(2)
    if ip_version == 4:
        return rng.randbytes(4 * count)
    return b"".join(
        (0x2A0 << 116 | rng.getrandbits(20) << 96 | rng.getrandbits(18) << 80).to_bytes(16, "big")
        for _ in range(count)
    )


def nanoseconds(view: GeoView, ip_version: int) -> float:
    """Of a lookup, the best of the rounds: each after the other, of addresses in any order."""
    some = addresses(ip_version, LOOKUPS)
    taken = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        view.find_all(some, ip_version)
        taken.append(time.perf_counter_ns() - start)
    return min(taken) / LOOKUPS


def instructions(path: Path, ip_version: int) -> float:
    """Of a lookup, with the loop around it. Raises XdpkitError where valgrind counts nothing."""
    counted = child.python("xdpkit.bench.geo_view", str(path), str(ip_version))
    done = subprocess.run(
        [
            *("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *("--toggle-collect=*GeoView_*find_all", *counted),
        ],
        capture_output=True,
        text=True,
        check=False,
        **child.options(),
    )
    collected = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode or not collected or not int(collected[1]):
        raise XdpkitError(f"valgrind counted nothing: {done.stderr.strip()[-200:]}")
    return int(collected[1]) / COUNTED


def main() -> None:
    """Prints a row for each size and IP version."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="xdpkit-geo-") as scratch:
        for name, depth in DEPTHS.items():
            data = block(Path(scratch), depth, IPV6_NETWORKS[name])
            path = Path(scratch, name)
            path.write_bytes(data)
            view = GeoView(data)
            for version in (4, 6):
                counted = f"{instructions(path, version):.0f}" if shutil.which("valgrind") else ""
                taken = f"{nanoseconds(view, version):.1f}"
                rows.append([f"{name}, IPv{version}", f"{len(data) >> 10} KiB", taken, counted])
    Console().print(text_table(["view", "size", "ns per lookup", "instructions"], rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        version = int(sys.argv[2])
        GeoView(Path(sys.argv[1]).read_bytes()).find_all(addresses(version, COUNTED), version)
    else:
        main()
