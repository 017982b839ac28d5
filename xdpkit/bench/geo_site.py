"""What ``bench --geo`` serves: an NTP pool's zone, a plain zone beside it, invented databases.

The pool's zone has two names more, each with a label for every country: ``all`` has all servers,
``short`` a few. Those of the plain zone are as long, and their answers have as many records.
"""

from __future__ import annotations

import json
import random
import struct
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from xdpkit.bench import location_database
from xdpkit.bench.location_database import write_city_database
from xdpkit.bench.pool_zone import PoolSize, pool_zone
from xdpkit.bench.zones import cache_directory
from xdpkit.bench.zones_site import Say
from xdpkit.loadgen.queries import query
from xdpkit.services.dns.geo.continents import CONTINENTS

ORIGIN, PLAIN = "pool.test", "host.test"
_A = 1
# RFC 7871 section 6: the option's code, the family of IPv4; a resolver sends 24 bits of an address.
_SUBNET, _FAMILY, _BITS = 8, 1, 24

# Servers of a short list.
SHORT = 8
# Records in an answer, of the pool's zone and of the plain one.
ANSWERS = 4

# Different queries: each with a client subnet of its own.
QUERIES = 1 << 14
# No network of these is reserved for anything (IANA's special-purpose registry).
_FIRST_OCTETS = range(20, 100)

# Networks of the invented databases as powers of two, and their places: as many as MaxMind's have.
COUNTRY_DEPTH, CITY_DEPTH = 18, 22
COUNTRY_PLACES, CITY_PLACES = 1000, 200_000

_PLAIN_TEXT = """\
$TTL 150
@ SOA ns hostmaster 1 5400 5400 1209600 3600
@ NS ns
ns A 192.0.2.1
"""


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    servers: int = 5000
    country_depth: int = COUNTRY_DEPTH
    city_depth: int = CITY_DEPTH
    city_places: int = CITY_PLACES
    bursts: int = 3
    burst_rate: int = 75_000
    """150,000 queries within two seconds."""


def geo_zone(servers: int) -> dict[str, Any]:
    """The pool's zone with ``all`` and ``short``, as a document of JSON."""
    zone = pool_zone(PoolSize(servers))
    data: dict[str, Any] = zone["data"]
    rng = random.Random(3)
    # For clients of whom nothing is known, who are not asked for.
    data["all"] = data["short"] = {"a": [["192.0.2.250", 1]]}
    # Not an alias of the zone itself, which has labels for countries.
    data["whole"] = {"a": data[""]["a"]}
    for country in CONTINENTS:
        data[f"all.{country}"] = {"alias": "whole"}
        data[f"short.{country}"] = {"a": rng.sample(data[""]["a"], min(SHORT, servers))}
    return zone


def plain_zone() -> str:
    """A master file with the same two names."""
    lines = [
        f"{name} A 10.{number}.0.{host}\n"
        for number, name in enumerate(("all", "short"))
        for host in range(ANSWERS)
    ]
    return _PLAIN_TEXT + "".join(lines)


def write_zones(directory: Path, servers: int) -> None:
    """Writes both zones' files into a directory that exists."""
    text = json.dumps(geo_zone(servers), separators=(",", ":"))
    (directory / f"{ORIGIN}.json").write_text(text)
    (directory / f"{PLAIN}.zone").write_text(plain_zone())


def write_country_database(directory: Path, depth: int) -> Path:
    """Writes a database as large as MaxMind's of countries; returns its path."""
    path = directory / "GeoLite2-Country.mmdb"
    write_city_database(path, depth, COUNTRY_PLACES)
    return path


def kept_city_database(sizes: Sizes, say: Say) -> Path:
    """A database as large as MaxMind's of cities, made once. Raises OSError."""
    source = Path(location_database.__file__).read_bytes()
    key = blake2b(source, digest_size=8).hexdigest()
    path = cache_directory() / f"city-{sizes.city_depth}-{sizes.city_places}-{key}.mmdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob(f"city-{sizes.city_depth}-*.mmdb"):
            old.unlink()
        say(f"making a database of {1 << sizes.city_depth:,} networks, once")
        part = path.with_suffix(".part")
        write_city_database(part, sizes.city_depth, sizes.city_places)
        part.rename(path)
    return path


def queries(name: str, origin: str, subnets: bool, count: int = QUERIES) -> list[bytes]:
    """Queries for the addresses of a name, with client subnets at random or without any."""
    labels = f"{name}.{origin}".removeprefix(".").split(".")
    wire = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    plain = query(wire, _A)
    if not subnets:
        return [plain]
    rng = random.Random(1)
    return [with_subnet(plain, _network(rng)) for _ in range(count)]


def with_subnet(request: bytes, network: bytes) -> bytes:
    """A query without options that gets a client subnet of IPv4, given without its zeros."""
    data = struct.pack("!HBB", _FAMILY, _BITS, 0) + network
    option = struct.pack("!HH", _SUBNET, len(data)) + data
    return request[:-2] + struct.pack("!H", len(option)) + option


def _network(rng: random.Random) -> bytes:
    return bytes([rng.choice(_FIRST_OCTETS), rng.randrange(256), rng.randrange(256)])
