"""_country, _status and _health of JSON zones, on bytes: what they say, and to whom."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from mmdb_files import city_record, write_database

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.config import DnsConfig
from xdpkit.config.geo import GeoConfig, GeoFiles
from xdpkit.services.dns.serving.explained import explained, health_text
from xdpkit.services.dns.serving.geo_servings import GeoServings
from xdpkit.services.dns.serving.store import Load, load_zones

CITIES = {
    "198.51.100.0/24": city_record("US", "CA"),
    "203.0.113.0/25": city_record("DE", "BE"),
    "2001:db8::/40": city_record("DE", "BE"),
}
OWN = ("192.0.2.53", "2001:db8::53")
SECOND = 10**9
SETTINGS: dict[str, Any] = {
    "ecs": 1,
    "status": b'{"v":"x","up":"',
    "server_id": b"one",
    "server_address": b"192.0.2.53",
    "started_ns": 5 * SECOND,
}


def labels(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"": {"ns": ["ns.test."]}, "www": {"a": [["192.0.2.1", 5]]}}
    found |= {"www.us": {"a": [["192.0.2.10"]]}, "www.de": {"a": [["192.0.2.11"]]}}
    return found | more


def load(directory: Path, data: dict[str, Any], **head: Any) -> Load:
    (directory / "zones").mkdir(exist_ok=True)
    (directory / "geoip").mkdir(exist_ok=True)
    write_database(directory / "geoip" / "GeoLite2-City.mmdb", CITIES)
    document = {"serial": 1, "targeting": "@ country continent"} | head | {"data": data}
    (directory / "zones" / "test.json").write_text(json.dumps(document))
    geo = GeoFiles(directory / "geoip")
    return anyio.run(partial(load_zones, directory / "zones", geo=geo))


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Load:
    wild: dict[str, Any] = {"*.wild": {"txt": "made"}, "_status.there": {"txt": "mine"}}
    wild["cut"] = {"ns": ["ns.example."]}
    return load(tmp_path_factory.mktemp("explain"), labels(**wild))


def reply(
    found: Load,
    name: str,
    kind: str = "TXT",
    source: tuple[str, int] = ("127.0.0.1", 4000),
    servings: GeoServings | None = None,
    tcp: bool = False,
    size: int = 0,
    subnet: str = "",
    **settings: Any,
) -> dns.message.Message:
    """What a client gets."""
    directory = found.table.directory_of_arenas(servings)
    snapshot = Snapshot({"dns": 53}, zones=directory, dns=SETTINGS | settings, reserved=OWN)
    options: list[dns.edns.Option] = []
    if subnet:
        address, _, bits = subnet.partition("/")
        options.append(dns.edns.ECSOption(address, int(bits)))
    question = dns.message.make_query(
        f"{name}.test", kind, use_edns=0 if size or options else -1, payload=size or 1232,
        options=options,
    )  # fmt: skip
    way: dict[str, Any] = {"tcp": True, "room": 65535} if tcp else {}
    _, wire = answer(
        snapshot, "dns", question.to_wire(), source, state=ThreadState(),
        rx_ns=1, mono_ns=12 * SECOND, **way,
    )  # fmt: skip
    assert wire is not None
    made = dns.message.from_wire(wire)
    assert made.question == question.question
    return made


def strings(message: dns.message.Message) -> list[str]:
    """The strings of the one TXT record of an answer."""
    assert message.rcode() == dns.rcode.NOERROR and message.flags & dns.flags.AA
    [rrset] = message.answer
    [record] = rrset
    assert rrset.ttl == 1 and rrset.name == message.question[0].name
    return [each.decode() for each in record.strings]


def test_country(zone: Load) -> None:
    assert strings(reply(zone, "_country", source=("198.51.100.7", 4000))) == [
        "198.51.100.7:4000",
        "198.51.100.7",
        "us @",
        "/24",
        "one",
        "192.0.2.53",
    ]
    got = strings(reply(zone, "_country", source=("2001:db8::5", 65535)))
    assert got[:4] == ["[2001:db8::5]:65535", "2001:db8::5", "de @", "/40"]
    # Nothing is known of this one.
    assert strings(reply(zone, "_country", source=("192.0.2.1", 1)))[1:3] == ["192.0.2.1", "@"]
    # In any case, and below other names that there are not.
    for name in ("_CounTry", "_country.x.y"):
        assert strings(reply(zone, name, "ANY", source=("203.0.113.5", 1)))[2:4] == ["de @", "/25"]


def test_country_of_a_subnet(zone: Load) -> None:
    made = reply(zone, "_country", source=("198.51.100.7", 9), subnet="203.0.113.0/24")
    assert strings(made)[:4] == ["198.51.100.7:9", "203.0.113.0", "de @", "/25"]
    [option] = made.options
    assert isinstance(option, dns.edns.ECSOption)
    assert (option.address, option.srclen, option.scopelen) == ("203.0.113.0", 24, 25)
    # Of which nothing is known: who has asked counts.
    made = reply(zone, "_country", source=("198.51.100.7", 9), subnet="8.8.8.0/24")
    assert strings(made)[1:4] == ["198.51.100.7", "us @", "/24"]


def test_the_targets_are_those_that_answers_are_by(zone: Load) -> None:
    for source, address in (("198.51.100.7", 10), ("203.0.113.7", 11), ("203.0.113.200", 1)):
        [[record]] = reply(zone, "www", "A", source=(source, 1)).answer
        targets = strings(reply(zone, "_country", source=(source, 1)))[2].split()
        assert record.address == f"192.0.2.{address}"
        assert targets == {10: ["us", "@"], 11: ["de", "@"], 1: ["@"]}[address]


def test_coordinates_where_they_count(tmp_path: Path) -> None:
    servers = [[f"198.51.100.{i}", 1] for i in range(5)]
    found = load(tmp_path, labels(near={"closest": True, "max_hosts": 1, "a": servers}))
    where = {"latitude": 52.5, "longitude": -13.25}
    database = {"203.0.113.0/24": city_record("DE", "BE") | {"location": where}}
    write_database(tmp_path / "geoip" / "GeoLite2-City.mmdb", database)
    geo = GeoFiles(tmp_path / "geoip")
    found = anyio.run(partial(load_zones, tmp_path / "zones", geo=geo))
    got = strings(reply(found, "_country", source=("203.0.113.9", 1)))
    assert len(got) == 7 and got[2] == "de @" and got[6] == "(52.500,-13.250)"
    assert len(strings(reply(found, "_country", source=("192.0.2.9", 1)))) == 6


@pytest.mark.parametrize("name", ["_status", "_health"])
def test_only_for_this_host(zone: Load, name: str) -> None:
    for source in ("127.0.0.1", "127.9.9.9", *OWN):
        assert strings(reply(zone, name, source=(source, 1)))
    for source in ("192.0.2.1", "128.0.0.1", "7f00::1", "2001:db8::1"):
        for kind in ("TXT", "ANY", "A"):
            made = reply(zone, name, kind, source=(source, 1))
            assert made.rcode() == dns.rcode.REFUSED and not made.answer
        assert strings(reply(zone, name, source=(source, 1), public_debug=1))
    [option] = reply(zone, name, source=("192.0.2.1", 1), size=1232).options
    assert isinstance(option, dns.edns.EDEOption) and option.code == dns.edns.EDECode.PROHIBITED


def test_status(zone: Load) -> None:
    [text] = strings(reply(zone, "_status"))
    assert json.loads(text) == {"v": "x", "up": "7"}


def test_what_the_control_plane_says_of_the_server() -> None:
    config = DnsConfig(zones=Path("zones"), id=b"i" * 250, hostname=b'h"\xff' * 80)
    made = explained(config)
    assert len(made["status"]) <= 224 and made["server_id"] == config.id
    told = json.loads(made["status"] + b'1"}')
    assert set(told) == {"v", "id", "h", "up"} and told["v"].startswith("xdpkit ")
    assert not made["public_debug"]
    public = DnsConfig(zones=Path("zones"), geo=GeoConfig(public_debug=True))
    assert explained(public)["public_debug"] and explained(public)["server_id"] == b""
    Snapshot({}, dns=made)


def test_health(tmp_path: Path) -> None:
    servers = [
        {"ip": "192.0.2.41", "weight": 1, "health": "pool/one"},
        {"ip": "192.0.2.42", "weight": 1, "health": "pool/two"},
    ]
    found = load(tmp_path, labels(servers={"a": servers}))
    health = tmp_path / "health"
    health.mkdir()
    (health / "pool.json").write_text('{"one": 1, "two": 2}')
    servings = GeoServings(health)
    anyio.run(servings.refresh)
    [text] = strings(reply(found, "_health", servings=servings))
    assert json.loads(text) == {"pool/one": 1, "pool/two": 2}
    (health / "pool.json").write_text('{"one": 2, "two": 2, "three": 1}')
    anyio.run(servings.refresh)
    [text] = strings(reply(found, "_health", servings=servings))
    assert json.loads(text) == {"pool/one": 2, "pool/two": 2}


def test_health_of_many(tmp_path: Path) -> None:
    servers = [
        {"ip": f"192.0.2.{i}", "weight": 1, "health": f"pool/number-{i}"} for i in range(100)
    ]
    found = load(tmp_path, labels(servers={"a": servers}))
    short = reply(found, "_health", size=1232)
    assert short.flags & dns.flags.TC and not short.answer and short.rcode() == 0
    got = strings(reply(found, "_health", tcp=True))
    assert {len(each) for each in got[:-1]} == {255}
    assert set(json.loads("".join(got))) == {f"pool/number-{i}" for i in range(100)}


def test_more_statuses_than_a_message_holds() -> None:
    names = [f"pool/{i:05}" for i in range(20_000)]
    states = bytes(1 if i % 1000 == 999 else 2 for i in range(20_000))
    data, at = health_text(names, states), 0
    assert len(data) < 61_000
    text = b""
    while at < len(data):
        text += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    told = json.loads(text)
    assert [name for name in told if told[name] == 1] == names[999::1000]
    assert told["unlisted"] == 20_000 - (len(told) - 1)
    assert health_text((), b"") == b"\x02{}"


def test_only_names_that_there_are_not(zone: Load) -> None:
    assert strings_of_zone(reply(zone, "_status.there")) == ["mine"]
    assert strings_of_zone(reply(zone, "_countr.wild")) == ["made"]
    # Another server's.
    assert not reply(zone, "_country.cut").answer
    # A wildcard does not stand for them.
    assert strings(reply(zone, "_country.wild"))[2] == "@"
    for name in ("_statu", "_statuss", "_countr", "_healthy", "status", "x._status", "_"):
        made = reply(zone, name)
        assert made.rcode() == dns.rcode.NXDOMAIN and not made.answer and made.authority


def strings_of_zone(message: dns.message.Message) -> list[str]:
    [[record]] = message.answer
    return [each.decode() for each in record.strings]


@pytest.mark.parametrize("name", ["_country", "_status", "_health"])
@pytest.mark.parametrize("kind", ["A", "DS", "SOA", "HTTPS", "CNAME"])
def test_other_types_have_no_data(zone: Load, name: str, kind: str) -> None:
    made = reply(zone, name, kind)
    assert made.rcode() == dns.rcode.NOERROR and not made.answer
    [soa] = made.authority
    assert soa.rdtype == dns.rdatatype.SOA and str(soa.name) == "test."


def test_the_longest_name_over_udp(zone: Load) -> None:
    name = ".".join(["_country", *["x" * 63] * 3, "y" * 47])
    settings = {"server_id": b"i" * 255}
    made = reply(zone, name, source=("2001:db8:1:2:3:4:5:6", 65535), **settings)
    assert made.flags & dns.flags.TC and not made.answer
    got = strings(reply(zone, name, source=("2001:db8::1", 65535), size=1232, **settings))
    assert got[4] == "i" * 255
    got = strings(reply(zone, name, source=("2001:db8::1", 65535), tcp=True, **settings))
    assert got[4] == "i" * 255
