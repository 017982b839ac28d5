"""The JSON zone of an NTP pool, invented: the same for the same seed.

As the pool's own writer makes it: for each country, continent and the whole pool, all IPv4 servers
under its name, four disjoint slices of them under ``0`` to ``3``, IPv6 servers under ``2`` alone,
and a null MX everywhere; vendors' names are aliases.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from xdpkit.services.dns.geo.continents import CONTINENTS

# Weights that operators can choose, in kbit/s, and how many of a hundred do: the pool's choices,
# and a guess at how they are spread (a pool's public statistics have no more than totals).
NETSPEEDS = {
    512: 2,
    1500: 3,
    3000: 4,
    6000: 3,
    12000: 5,
    25000: 7,
    50000: 11,
    100000: 16,
    250000: 12,
    500000: 11,
    1000000: 17,
    1500000: 3,
    2000000: 3,
    3000000: 3,
}

# Fewer than this are not sliced: all are under each of the four names.
SLICED = 8
SLICES = 4

NULL_MX = [{"mx": ".", "preference": 0}]

Record = list[Any]
"""[address, netspeed]."""


@dataclass(frozen=True)
class PoolSize:
    """How large a pool is."""

    servers: int = 5000
    ipv6_share: float = 0.58
    """Of the servers, those that have an IPv6 address, too: 2,084 of 3,601."""
    vendors: int = 200
    ttl: int = 150


@dataclass(frozen=True)
class _Server:
    country: str
    ipv4: str
    ipv6: str | None
    netspeed: int


def pool_zone(size: PoolSize | None = None, seed: int = 1) -> dict[str, Any]:
    """The zone of a pool as a document of JSON."""
    size = size or PoolSize()
    rng = random.Random(seed)
    servers = _servers(size, rng)
    zones: dict[str, list[_Server]] = {"": servers}
    for country, continent in CONTINENTS.items():
        # The pool calls the United Kingdom by its domain.
        zones["uk" if country == "gb" else country] = []
        zones.setdefault(continent, [])
    for server in servers:
        zones["uk" if server.country == "gb" else server.country].append(server)
        zones[CONTINENTS[server.country]].append(server)
    data: dict[str, dict[str, Any]] = {}
    for name, members in sorted(zones.items()):
        data |= _labels(name, members, rng)
    data[""]["ns"] = {f"{letter}.ntpns.example.": None for letter in "abcdefgh"}
    data["www"] = {"cname": "www.ntppool.example.", "ttl": 7200}
    data |= _aliases(size.vendors)
    return {
        "serial": 1_700_000_000 + seed,
        "ttl": size.ttl,
        "max_hosts": 4,
        "logging": {"stathat_api": ""},
        "data": data,
    }


def pool_zone_text(size: PoolSize | None = None, seed: int = 1) -> str:
    """The same as the text of a file, as compact as the pool's."""
    return json.dumps(pool_zone(size, seed), separators=(",", ":"))


def _servers(size: PoolSize, rng: random.Random) -> list[_Server]:
    countries = sorted(CONTINENTS)
    rng.shuffle(countries)
    # A few countries have most of the servers: the nth by size about 1/n of the first.
    shares = [1 / rank for rank in range(1, len(countries) + 1)]
    homes = rng.choices(countries, shares, k=size.servers)
    speeds = rng.choices(list(NETSPEEDS), list(NETSPEEDS.values()), k=size.servers)
    return [
        _Server(
            home,
            # 198.18.0.0/15 is for benchmarks (RFC 2544), 2001:db8::/32 for documentation.
            str(IPv4Address(0xC6120000 + number)),
            str(IPv6Address((0x20010DB8 << 96) + (number << 64) + 0x123))
            if rng.random() < size.ipv6_share
            else None,
            speed,
        )
        for number, (home, speed) in enumerate(zip(homes, speeds, strict=True))
    ]


def _labels(name: str, members: list[_Server], rng: random.Random) -> dict[str, dict[str, Any]]:
    """The five labels of a zone of the pool."""
    records = [[server.ipv4, server.netspeed] for server in members]
    rng.shuffle(records)
    labels: dict[str, dict[str, Any]] = {name: {"mx": NULL_MX}}
    if records:
        labels[name]["a"] = records
    share = len(records) // SLICES
    for number in range(SLICES):
        part = records if len(records) < SLICED else records[number * share :][:share]
        key = f"{number}.{name}" if name else str(number)
        labels[key] = {"a": part, "mx": NULL_MX}
        if number == 2:
            labels[key]["aaaa"] = [
                [server.ipv6, server.netspeed] for server in members if server.ipv6
            ]
    return labels


def _aliases(vendors: int) -> dict[str, dict[str, Any]]:
    """The United Kingdom's ISO code, and vendors' names: some SNTP, some NTP, some both."""
    found: dict[str, dict[str, Any]] = {"gb": {"alias": "uk"}}
    found |= {f"{number}.gb": {"alias": f"{number}.uk"} for number in range(SLICES)}
    for number in range(vendors):
        name = f"vendor{number}"
        if number % 3 != 1:
            found[name] = {"alias": ""}
        if number % 3 != 0:
            found |= {f"{i}.{name}": {"alias": str(i)} for i in range(SLICES)}
    return found
