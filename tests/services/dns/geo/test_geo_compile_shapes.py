"""What a JSON zone costs in an arena: plain answers are those of a master file, and nothing that
several names or clients share is there twice.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from dns_zones import compiled as compiled_master_file
from geo_arena_reader import CUT, GEO, GeoArena, compiled

from xdpkit._core._geo_nearest import Places
from xdpkit._core._zones import ZoneArena
from xdpkit.bench.pool_zone import PoolSize, pool_zone
from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo import answer_steps
from xdpkit.services.dns.geo.classes import Everybody
from xdpkit.services.dns.geo.closest import closest
from xdpkit.services.dns.geo.continents import CONTINENTS
from xdpkit.services.dns.geo.coordinates import Coordinates, distance
from xdpkit.services.dns.geo.json_text import JsonDocument
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.targets import DEFAULT_TARGETING, Location, client_targets
from xdpkit.services.dns.geo.zone_json import parse_zone

ORIGIN = b"\1z\7example\0"
A, MX, ANY = 1, 15, 255


class Countries:
    """A class for each country, as with a country database."""

    id = b"countries".ljust(16)
    classes = (
        ("@",),
        *(client_targets(None, Location(each), DEFAULT_TARGETING) for each in CONTINENTS),
    )
    coordinates = (None,) * len(classes)


def read(document: dict[str, Any]) -> GeoZone:
    """The zone in a document."""
    return parse_zone(JsonDocument(Path("z.example.json"), json.dumps(document)), ORIGIN, 7)


def wire(*labels: str) -> bytes:
    """A name in the zone."""
    return b"".join(bytes([len(each)]) + each.encode() for each in labels) + ORIGIN


def weighted(count: int, first: int = 1) -> list[list[Any]]:
    """Addresses that are drawn."""
    return [[f"192.0.2.{first + number}", 1 + number] for number in range(count)]


# -------------------------------------------------------------------------------------------------

PLAIN = {
    "ttl": 300,
    "serial": 5,
    "contact": "admin.example.",
    "data": {
        "": {"ns": ["ns1.z.example.", "ns.test."], "mx": [{"mx": "ns1.z.example."}], "ttl": 300},
        "ns1": {"a": [["192.0.2.1"]]},
        "www": {"cname": "other.test."},
        "*.w": {"txt": "any"},
        "x.y": {"aaaa": [["2001:db8::1"]], "txt": ["one", "two"]},
        "sub": {"ns": ["ns.sub.z.example."], "ttl": 300},
        "ns.sub": {"a": [["192.0.2.2"]]},
    },
}
MASTER_FILE = """$TTL 300
@ 3000 SOA ns1 admin.example. 5 5400 5400 1209600 3600
@ NS ns1
@ NS ns.test.
@ MX 0 ns1
ns1 A 192.0.2.1
www CNAME other.test.
*.w TXT any
x.y AAAA 2001:db8::1
x.y TXT one
x.y TXT two
sub NS ns.sub
ns.sub A 192.0.2.2
"""


def test_a_zone_that_depends_on_no_client_is_a_master_file(tmp_path: Path) -> None:
    path = tmp_path / "z.example.zone"
    path.write_text(MASTER_FILE)
    zone = read(PLAIN)
    made = compiled(zone, Everybody(zone.targeting))
    assert made == compiled_master_file(path, seed=1)
    assert not GeoArena(made).geo


def test_an_alias_is_a_node_and_no_tables() -> None:
    labels = {
        "": {"ns": ["ns.test."], "a": weighted(9)},
        "us": {"a": weighted(9, 20)},
        "asia": {"a": weighted(3, 40)},
    }
    zone = read({"data": labels})
    without = GeoArena(compiled(zone, Countries()))
    aliases = {f"vendor{number}": {"alias": ""} for number in range(100)}
    zone = read({"data": {**labels, **aliases}})
    arena = GeoArena(compiled(zone, Countries()))
    assert (arena.draws, arena.variants) == (without.draws, without.variants)
    assert (len(arena.data) - len(without.data)) / 100 < 120
    assert arena.lookup(wire("vendor7"), A) == arena.lookup(ORIGIN, A)


def test_equal_lists_are_there_once() -> None:
    same = {"a": weighted(9)}
    labels = {"a": same, "a.us": {"a": weighted(5, 30)}, "b": same, "c": same, "d.e": same}
    arena = GeoArena(compiled(read({"data": labels}), Countries()))
    assert arena.draws == 2
    assert arena.lookup(wire("b"), A) == arena.lookup(wire("d", "e"), A)
    assert arena.lookup(wire("b"), A) != arena.lookup(wire("a"), A)


def test_what_differs_in_ttl_or_hosts_is_not_equal() -> None:
    same = weighted(9)
    labels = {"a": {"a": same}, "b": {"a": same, "ttl": 7}, "c": {"a": same, "max_hosts": 3}}
    arena = GeoArena(compiled(read({"data": labels}), Everybody(DEFAULT_TARGETING)))
    assert arena.draws == 3


def test_more_records_than_hosts_are_drawn_and_fewer_are_not() -> None:
    few, many = [["192.0.2.1"], ["192.0.2.2"]], [["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"]]
    labels = {"few": {"a": few}, "many": {"a": many}, "text": {"txt": ["a", "b", "c"]}}
    arena = GeoArena(compiled(read({"data": labels}), Everybody(DEFAULT_TARGETING)))
    found = {name: arena.lookup(wire(name), A)[0] for name in labels}
    assert found == {"few": False, "many": True, "text": False}
    assert not arena.lookup(wire("text"), 16)[0]


def test_ns_of_a_name_that_is_no_delegation() -> None:
    labels = {"www.us": {"ns": ["ns.test."], "txt": "here"}, "www": {"txt": "there"}}
    arena = GeoArena(compiled(read({"data": labels}), Countries()))
    flags = arena._node(arena.nodes[wire("www", "us")])[1]
    assert flags & GEO and not flags & CUT


def test_statuses_are_told_by_name() -> None:
    labels = {"a": {"a": [{"ip": "192.0.2.1", "health": "m/é"}], "health": {"file": "m"}}}
    arena = GeoArena(compiled(read({"data": labels}), Everybody(DEFAULT_TARGETING)))
    assert arena.statuses == ["m/é"]


def test_a_pool_of_some_thousand_servers() -> None:
    zone = read(pool_zone(PoolSize(servers=2000)))
    arena = GeoArena(compiled(zone, Countries()))
    many = (key for key, label in zone.labels.items() if len(label.records.get(A, ())) > 4)
    country = next(key for key in many if key[:2] == "0.")
    plain = arena._node(arena.nodes[zone.labels[country].wire])[4]
    assert plain[A][0] == 1 and plain[MX][0] == 0
    tables = {arena.lookup(wire(str(number)), A) for number in range(4)} | {arena.lookup(ORIGIN, A)}
    assert len(tables) == 5
    assert arena.lookup(wire("2", "vendor1"), A) == arena.lookup(wire("2"), A)
    ZoneArena(arena.data)


def test_too_much_for_an_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_steps, "SIZE_MAX", 1 << 12)
    with pytest.raises(ZoneError, match="use fewer targets"):
        compiled(read(pool_zone(PoolSize(servers=100))), Countries())


# -------------------------------------------------------------------------------------------------


def places(rng: random.Random, count: int) -> list[Coordinates | None]:
    """Servers, some at the same site, some nowhere."""
    sites = [Coordinates(rng.uniform(-90, 90), rng.uniform(-180, 180)) for _ in range(6)]
    near = [Coordinates(site.latitude / 1.001, site.longitude) for site in sites]
    return [rng.choice([*sites, *near, None]) for _ in range(count)]


def test_the_nearest_are_those_of_the_reference() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        servers = places(rng, rng.randrange(1, 30))
        client = rng.choice([*places(rng, 1), *servers])
        hosts = rng.choice([1, 2, 3, 4, 7, 20, 100])
        distances = [distance(client, each) for each in servers]
        assert Places(servers).nearest(client, hosts) == closest(distances, hosts)


def test_closest_has_what_is_near_for_each_class() -> None:
    servers = weighted(8)
    at = {bytes([192, 0, 2, 1 + number]): Coordinates(0, number * 10) for number in range(8)}

    class Meridians:
        id = bytes(16)
        classes = (("@",),) * 3
        coordinates = (None, Coordinates(0, 1), Coordinates(0, 69))

    zone = read({"data": {"a": {"a": servers, "closest": True, "max_hosts": 2}}})
    data = compiled(zone, Meridians(), lambda address: at.get(address))
    arena = GeoArena(data)
    is_choice, choice = arena.lookup(wire("a"), A)
    assert is_choice
    found = []
    for number in range(3):
        [chosen] = arena.chances(choice, number, wire("a"), A, lambda _: True)
        assert chosen.hosts in (0, 2)
        found.append({rdata[3] for rdata, _ in chosen.records})
    assert found == [set(range(1, 9)), {1, 2}, {7, 8}]
