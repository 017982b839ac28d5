"""``xdpkit query`` of JSON zones: the reasons that it shows are those of the answer."""

from __future__ import annotations

import dataclasses
import json
import random
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import dns.message
import dns.name
import dns.rdatatype
import pytest
from mmdb_files import city_record, write_database

from xdpkit._core._answer import answer
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.geo import GeoConfig, GeoFiles
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.services.dns.compiler.arena_file import cache_directory
from xdpkit.services.dns.query.geo_reasons import GeoReasons
from xdpkit.services.dns.query.query import explain, explain_served
from xdpkit.services.dns.query.served import Served, load_served, scope_of, subnet_option

# What is no client's on the Internet, though an operator may map it.
PRIVATE = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4"),
    *("fd00::/8", "fe80::/10", "4000::/3", "::/16"),
)
MAP = """\
203.0.113.0/24 us us-ca as64496
203.0.113.128/25 us us-ny
198.51.100.0/24 de
5.0.0.0/8 de
5.9.0.0/16 fr
2001:db8:1::/48 de
""" + "".join(f"{prefix} us\n" for prefix in PRIVATE)


def servers(number: int, *weights: int, **more: str) -> list[dict[str, Any]]:
    return [
        {"ip": f"192.0.{number}.{n}", "weight": weight, **more}
        for n, weight in enumerate(weights, 1)
    ]


ZONE: dict[str, Any] = {
    "serial": 7,
    "ttl": 60,
    "targeting": "@ ip asn region regiongroup country continent",
    "data": {
        "": {"ns": ["ns1.example"], "a": servers(0, 5, 5, 5)},
        "us": {"a": servers(1, 10, 20, 30), "max_hosts": 1},
        "www": {"a": servers(2, 1, 10, 100, 1000), "txt": ["everywhere"]},
        "www.us": {"a": servers(3, 7, 7)},
        "www.us-ny": {"a": []},
        "www.europe": {"cname": [["a.example.org.", 1], ["b.example.org.", 3]]},
        "www.fr": {"alias": "plain"},
        "www.[203.0.113.7]": {"a": servers(4, 1)},
        "plain": {"a": servers(5, 0, 0, 0), "mx": [{"mx": "mx.test.", "preference": 5}]},
        "vendor": {"alias": "www"},
        "mixed": {"alias": [["plain", 1], ["www", 3]]},
        "near": {"a": [["9.1.0.1", 1], ["9.1.0.2", 9], ["9.2.0.1", 1]], "closest": True},
        "*.wild": {"a": servers(6, 1, 2)},
        "*.wild.de": {"a": servers(7, 1)},
        "ill": {
            "a": [
                {"ip": "192.0.8.1", "weight": 1, "health": "f/one"},
                {"ip": "192.0.8.2", "weight": 1, "health": "f/two"},
                {"ip": "192.0.8.3", "weight": 1, "health": "f/three"},
            ]
        },
        "sub": {"ns": ["ns.sub.example"]},
        "only.us": {"a": servers(9, 1)},
    },
}
NAMES = [
    "",
    "us",
    "www",
    "www.fr",
    "vendor",
    "mixed",
    "near",
    "a.wild",
    "ill",
    "x.sub",
    "only",
    "no",
]
CLIENTS = (
    *("203.0.113.7", "203.0.113.9", "203.0.113.200", "198.51.100.1", "5.1.2.3", "5.9.1.1"),
    *("9.1.2.3", "9.2.200.1", "192.0.2.1", "10.0.0.1", "2001:db8:1::5", "2001:db8:2::5"),
)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("query")
    for name in ("zones", "health", "geoip"):
        (made / name).mkdir()
    (made / "zones" / "z.example.json").write_text(json.dumps(ZONE))
    (made / "health" / "f.json").write_text('{"one": 2, "two": 1}')
    (made / "locations").write_text(MAP)
    west, east = city_record("US", "CA"), city_record("JP")
    west["location"] = {"latitude": 37.0, "longitude": -122.0}
    east["location"] = {"latitude": 35.5, "longitude": 139.5}
    write_database(made / "geoip" / "GeoLite2-City.mmdb", {"9.1.0.0/16": west, "9.2.0.0/16": east})
    return made


def files(directory: Path) -> tuple[GeoFiles, GeoConfig]:
    own = directory / "locations"
    return GeoFiles(directory / "geoip", own), GeoConfig(map=own, health=directory / "health")


@pytest.fixture(scope="module")
def served(directory: Path) -> Served:
    return load_served(directory / "zones", None, *files(directory))


def check_agreement(served: Served, name: str, kind: str, client: str, subnet: Any) -> GeoReasons:
    """Asks some times more: all answers must be those that the reasons allow."""
    found = explain_served(served, name, kind, client, subnet=subnet)
    reasons = found.geo
    assert reasons is not None
    options = [] if subnet is None else [subnet_option(subnet)]
    request = dns.message.make_query(name, kind, use_edns=0, payload=1232, options=options)
    snapshot, state = served.snapshot(1232), ThreadState()
    for _ in range(10):
        _, wire = answer(snapshot, "dns", request.to_wire(), (client, 40000), state=state)
        assert wire is not None
        check_answer(reasons, dns.message.from_wire(wire), subnet)
    assert found.scope == (None if subnet is None else scope_of(dns.message.from_wire(wire)))
    return reasons


def check_answer(reasons: GeoReasons, message: dns.message.Message, subnet: Any) -> None:
    name = message.question[0].name
    rrsets = [rrset for rrset in message.answer if rrset.name == name]
    if subnet is not None and reasons.decided_by == "subnet":
        assert scope_of(message) == ip_network(reasons.prefix).prefixlen
    if reasons.outcome == "nxdomain":
        assert message.rcode() == 3
    else:
        assert message.rcode() == 0
    if reasons.outcome == "referral":
        rrsets = [r for r in message.authority if r.rdtype == dns.rdatatype.NS]
    assert bool(rrsets) == (reasons.outcome in ("answer", "referral"))
    if not rrsets:
        return
    [rrset] = rrsets
    kind = dns.rdatatype.to_text(rrset.rdtype)
    records = {rdata.to_text() for rdata in rrset}
    matching = [
        option
        for option in reasons.options
        if option.type == kind
        and option.ttl == rrset.ttl
        and option.hosts == len(records)
        and records <= {each.data for each in option.records if each.chance}
        and records >= {each.data for each in option.records if each.chance >= option.share}
    ]
    assert matching, (reasons, rrset)


def test_reasons_and_answers_agree(served: Served) -> None:
    rng = random.Random(1)
    levels = set()
    every = [(name, client) for name in NAMES for client in CLIENTS]
    for first, client in every + rng.sample(every, 100):
        name = ".".join(filter(None, (first, "z.example")))
        reasons = check_agreement(served, name, "A", client, None)
        levels |= {option.level for option in reasons.options}
        kind = rng.choice(["A", "TXT", "MX", "CNAME", "AAAA", "ANY"])
        subnet: IPv4Network | IPv6Network | None = None
        if rng.random() < 0.7:
            address = rng.choice(CLIENTS)
            length = rng.choice((0, 8, 16, 24, 32) if "." in address else (0, 32, 48, 56, 128))
            subnet = ip_network((address, length), strict=False)
        reasons = check_agreement(served, name, kind, client, subnet)
        levels |= {option.level for option in reasons.options}
        for option in reasons.options:
            total = sum(each.chance for each in option.records)
            assert total == pytest.approx(option.share * option.hosts, abs=1e-4)
    assert levels >= {"@", "us", "europe", "fr", "[203.0.113.7]"}, levels


def test_all_of_the_prefix_get_the_same(served: Served) -> None:
    rng = random.Random(2)
    for _ in range(200):
        name = ".".join(filter(None, (rng.choice(NAMES), "z.example")))
        found = explain_served(served, name, "A", rng.choice(CLIENTS)).geo
        assert found is not None
        prefix = ip_network(found.prefix)
        other = prefix.network_address + rng.randrange(prefix.num_addresses)
        if other.version == 4 and (other.is_multicast or other.is_loopback or other.is_reserved):
            continue
        again = served.reasons(dns.name.from_text(name), dns.rdatatype.A, ip_address(other), None)
        assert again is not None and again.options == found.options


def why(directory: Path, name: str, client: str, subnet: str | None = None) -> GeoReasons:
    geo, states = files(directory)
    found = explain(
        directory / "zones",
        f"{name}.z.example",
        "A",
        client,
        subnet=None if subnet is None else ip_network(subnet),
        geo=geo,
        states=states,
    )
    assert found.geo is not None
    document = json.loads(json.dumps(dataclasses.asdict(found)))["geo"]
    assert document["targets"] == list(found.geo.targets)
    return found.geo


def test_what_is_shown(directory: Path) -> None:
    found = why(directory, "vendor", "192.0.2.1", "203.0.113.200/32")
    assert (found.address, found.decided_by) == ("203.0.113.200", "subnet")
    assert (found.country, found.region, found.region_group) == ("us", "us-ny", "us-east")
    assert found.targets[-5:] == ("us-ny", "us-east", "us", "north-america", "@")
    assert found.prefix == "203.0.113.128/25"
    [option] = found.options
    # Nothing is at www.us-ny: the country is next.
    assert (option.level, option.labels) == ("@", ("vendor", "www.us"))
    assert [(each.data, each.weight, each.chance) for each in option.records] == [
        ("192.0.3.1", 7, 1.0),
        ("192.0.3.2", 7, 1.0),
    ]
    lines = list(found.lines())
    assert lines[0].startswith("client  203.0.113.200, the subnet's: country us, region us-ny")
    assert "level   @: label vendor -> www.us" in lines
    assert "    100.0000%  192.0.3.1  weight 7" in lines


def test_a_subnet_that_says_nothing(directory: Path) -> None:
    for subnet in ("8.8.8.0/24", "0.0.0.0/0", "::/0", *PRIVATE):
        found = why(directory, "www", "198.51.100.1", subnet)
        assert (found.address, found.decided_by) == ("198.51.100.1", "sender")
        assert {option.level for option in found.options} == {"europe"}


@pytest.mark.parametrize("prefix", PRIVATE)
def test_which_subnets_may_be_used(served: Served, prefix: str) -> None:
    """The first and the last of each network, and what is beside it."""
    network = ip_network(prefix)
    numbers = {int(network.network_address), int(network.broadcast_address)}
    kind = type(network.network_address)
    for number in numbers | {min(numbers) - 1, max(numbers) + 1}:
        if 0 <= number < 1 << network.max_prefixlen:
            subnet = ip_network((kind(number), network.max_prefixlen))
            check_agreement(served, "www.z.example", "A", "198.51.100.1", subnet)


def test_health_is_shown(directory: Path) -> None:
    [option] = why(directory, "ill", "192.0.2.1").options
    assert [(each.health, each.state, each.chance) for each in option.records] == [
        ("f/one", "healthy", 1.0),
        ("f/two", "unhealthy", 0.0),
        ("f/three", "unknown", 0.0),
    ]


def test_weights_become_chances(directory: Path) -> None:
    options = why(directory, "mixed", "192.0.2.1").options
    assert {option.labels[-1]: option.share for option in options} == {"plain": 0.25, "www": 0.75}
    [us] = why(directory, "us", "192.0.2.1").options
    assert [each.chance for each in us.records] == pytest.approx([1 / 6, 1 / 3, 1 / 2])


def test_the_likeliest_of_many_are_listed(tmp_path: Path) -> None:
    many = [[f"192.0.{n // 250}.{n % 250}", 1 + n % 100] for n in range(1000)]
    labels = {"": {"ns": ["ns.example."]}, "www": {"a": many}}
    (tmp_path / "z.example.json").write_text(json.dumps({"serial": 1, "data": labels}))
    found = explain(tmp_path, "www.z.example", "A", geo=GeoFiles())
    assert found.geo is not None
    lines = list(found.geo.lines())
    assert len(found.geo.options[0].records) == 1000
    assert len(lines) == 5 + 50 + 1 and lines[-1] == "    and 950 that are no more likely"
    assert {line.split()[-1] for line in lines[5:-1]} == {"100", "99", "98", "97", "96"}


def test_what_is_near(directory: Path) -> None:
    found = why(directory, "near", "9.2.200.1")
    assert found.coordinates == (35.5, 139.5)
    chance = {each.data: each.chance for each in found.options[0].records}
    assert chance["9.2.0.1"] > 0


def test_files_that_are_no_good(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "z.example.json").write_text('{"data": {\n"": 5}}')
    geo, states = files(directory)
    with pytest.raises(ZoneError, match=":2:5: "):
        explain(tmp_path, "z.example", "A", geo=geo, states=states)
    (tmp_path / "z.example.json").write_text(json.dumps(ZONE))
    (tmp_path / "map").write_text("203.0.113.0/33 us\n")
    with pytest.raises(ConfigError, match=":1:1: "):
        explain(tmp_path, "z.example", "A", geo=GeoFiles(None, tmp_path / "map"))


def test_nothing_is_kept(directory: Path, tmp_path: Path) -> None:
    """The cache is the server's: whoever asks, as root or not, leaves it as it is."""
    geo, states = files(directory)
    zones = directory / "zones"
    kept = cache_directory(tmp_path, zones)
    kept.mkdir()
    for _ in range(2):
        found = explain(zones, "www.z.example", "A", cache=tmp_path, geo=geo, states=states)
        assert found.geo is not None
    assert list(tmp_path.rglob("*")) == [kept]
