"""Every shape of every key of a JSON zone: what it becomes, and the defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dns.name
import pytest
from geo_zones import ORIGIN, records, text_of, warnings, write, zone_of

from xdpkit.services.dns.geo.model import AliasTarget, GeoRecord, GeoZone
from xdpkit.services.dns.geo.targets import Targeting
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.zonefile.sources import is_json_zone
from xdpkit.services.dns.zonefile.zone_name import json_zone_name

# (type, value, [(record, weight)])
SHAPES: dict[str, tuple[str, Any, list[tuple[str, int]]]] = {
    "a: [ip]": ("a", [["192.0.2.1"]], [("192.0.2.1", 0)]),
    "a: [ip, weight]": (
        "a",
        [["192.0.2.1", 10], ["192.0.2.2", 5]],
        [("192.0.2.1", 10), ("192.0.2.2", 5)],
    ),
    "a: a weight in quotes": ("a", [["192.0.2.1", "3000000"]], [("192.0.2.1", 3000000)]),
    "a: a weight with a point": ("a", [["192.0.2.1", 10.0]], [("192.0.2.1", 10)]),
    "a: the largest weight": ("a", [["192.0.2.1", 4294967295]], [("192.0.2.1", 4294967295)]),
    "a: {ip}": ("a", [{"ip": "192.0.2.1", "weight": "7"}], [("192.0.2.1", 7)]),
    "a: {a}": ("a", [{"a": "192.0.2.1"}], [("192.0.2.1", 0)]),
    "a: nothing": ("a", [], []),
    "aaaa: [ip, weight]": ("aaaa", [["2001:DB8::1", 10]], [("2001:db8::1", 10)]),
    "aaaa: {aaaa}": ("aaaa", [{"aaaa": "2001:db8::1", "weight": 2}], [("2001:db8::1", 2)]),
    "aaaa: {ip}": ("aaaa", [{"ip": "2001:db8::1"}], [("2001:db8::1", 0)]),
    "ptr: [name]": ("ptr", [["host.example.net."]], [("host.example.net.", 0)]),
    "ptr: no dot": ("ptr", [["host.example.net", 3]], [("host.example.net.", 3)]),
    "ptr: {ptr}": ("ptr", [{"ptr": "a.test.", "weight": 1}], [("a.test.", 1)]),
    "cname: text": ("cname", "www.example.net.", [("www.example.net.", 0)]),
    "cname: the zone is appended": ("cname", "www", [("www.z.example.", 0)]),
    "cname: [target, weight]": (
        "cname",
        [["a", 10], ["b.test.", 20]],
        [("a.z.example.", 10), ("b.test.", 20)],
    ),
    "cname: {cname}": ("cname", [{"cname": "a", "weight": 5}], [("a.z.example.", 5)]),
    "cname: texts": ("cname", ["a", "b"], [("a.z.example.", 0), ("b.z.example.", 0)]),
    "mx: {mx}": ("mx", [{"mx": "mail.example.net"}], [("0 mail.example.net.", 0)]),
    "mx: all keys": (
        "mx",
        [{"mx": "mail.test.", "preference": "20", "weight": 5}],
        [("20 mail.test.", 5)],
    ),
    "mx: bare object": ("mx", {"mx": "mail.test.", "preference": 10}, [("10 mail.test.", 0)]),
    "mx: null MX": ("mx", [{"mx": ".", "preference": 0}], [("0 .", 0)]),
    "ns: texts": ("ns", ["ns1.test", "ns2.test."], [("ns1.test.", 0), ("ns2.test.", 0)]),
    "ns: text": ("ns", "ns1.test.", [("ns1.test.", 0)]),
    "ns: {name: null}": (
        "ns",
        {"ns1.test.": None, "ns2.test.": "192.0.2.1"},
        [("ns1.test.", 0), ("ns2.test.", 0)],
    ),
    "txt: text": ("txt", "this is foo", [('"this is foo"', 0)]),
    "txt: texts": ("txt", ["a", "b"], [('"a"', 0), ('"b"', 0)]),
    "txt: {txt}": ("txt", [{"txt": "w1000", "weight": 1000}], [('"w1000"', 1000)]),
    "txt: an empty one": ("txt", ["", "b"], [('"b"', 0)]),
    "txt: several strings": (
        "txt",
        [["one", "two"], "three"],
        [('"one" "two"', 0), ('"three"', 0)],
    ),
    "txt: {txt: [...]}": ("txt", [{"txt": ["one", "two"], "weight": 3}], [('"one" "two"', 3)]),
    "txt: a long one": ("txt", "x" * 300, [(f'"{"x" * 255}" "{"x" * 45}"', 0)]),
    "txt: UTF-8": ("txt", "ü", [('"\\195\\188"', 0)]),
    "txt: escapes": ("txt", 'a\\"b\\\\\\009', [('"a\\"b\\\\\\009"', 0)]),
    "spf: text": ("spf", "v=spf1 ~all", [('"v=spf1 ~all"', 0)]),
    "spf: {spf}": ("spf", [{"spf": "v=spf1 ~all", "weight": 1000}], [('"v=spf1 ~all"', 1000)]),
    "srv: {target}": ("srv", [{"target": "sip", "port": 5060}], [("0 0 5060 sip.z.example.", 0)]),
    "srv: all keys": (
        "srv",
        [{"target": "a.test.", "port": "1", "priority": 2, "srv_weight": 3}],
        [("2 3 1 a.test.", 0)],
    ),
    "caa: text": ("caa", '0 issue "ca.test"', [('0 issue "ca.test"', 0)]),
    "caa: fields": ("caa", {"tag": "issue", "value": "ca.test"}, [('0 issue "ca.test"', 0)]),
    "caa: texts": (
        "caa",
        ['0 issue "a.test"', '0 iodef "mailto:b@test"'],
        [('0 issue "a.test"', 0), ('0 iodef "mailto:b@test"', 0)],
    ),
    "https: text": ("https", "1 . alpn=h2", [('1 . alpn="h2"', 0)]),
    "https: fields": (
        "https",
        {"priority": 2, "target": "www", "params": "alpn=h2,h3"},
        [('2 www.z.example. alpn="h2,h3"', 0)],
    ),
    "https: weights": ("https", [{"https": "1 a.test.", "weight": 5}], [("1 a.test.", 5)]),
    "svcb: text": ("svcb", "0 a.test.", [("0 a.test.", 0)]),
    "tlsa: text": ("tlsa", "3 1 1 " + "ab" * 32, [("3 1 1 " + "ab" * 32, 0)]),
    "tlsa: fields": (
        "tlsa",
        {"usage": 3, "selector": 1, "matching_type": 1, "data": "ab" * 32},
        [("3 1 1 " + "ab" * 32, 0)],
    ),
    "ds: text": ("ds", "1 8 2 " + "ab" * 32, [("1 8 2 " + "ab" * 32, 0)]),
    "naptr: text": (
        "naptr",
        '10 20 "S" "SIP+D2U" "" _sip._udp',
        [('10 20 "S" "SIP+D2U" "" _sip._udp.z.example.', 0)],
    ),
    "naptr: fields": (
        "naptr",
        [{"order": 10, "flags": "U", "service": "E2U+sip", "regexp": "!^.*$!sip:a@b!"}],
        [('10 0 "U" "E2U+sip" "!^.*$!sip:a@b!" .', 0)],
    ),
    "sshfp: text": ("sshfp", "4 2 " + "ab" * 32, [("4 2 " + "ab" * 32, 0)]),
    "uri: fields": ("uri", {"target": "https://a.test/"}, [('0 0 "https://a.test/"', 0)]),
}


@pytest.mark.parametrize("case", SHAPES)
def test_the_shapes_of_records(tmp_path: Path, case: str) -> None:
    key, value, expected = SHAPES[case]
    zone = zone_of(tmp_path, {"x": {key: value}})
    assert records(zone, "x", key) == expected
    assert warnings(zone) == (
        ["txt: an empty text, which is left out: remove it"] if "an empty one" in case else []
    )


def test_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "{}")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    zone = read_json_zone(path)
    assert (zone.ttl, zone.max_hosts, zone.closest) == (120, 2, False)
    assert zone.serial == 1_600_000_000, "the file's time"
    assert zone.targeting == Targeting.GLOBAL | Targeting.COUNTRY | Targeting.CONTINENT
    assert zone.labels == {} and zone.names == {""}
    assert soa(zone) == "ns.z.example. hostmaster.z.example. 1600000000 5400 5400 1209600 3600"
    assert zone.soa_ttl == 1200


def test_the_keys_of_the_zone(tmp_path: Path) -> None:
    zone = zone_of(
        tmp_path,
        {
            "": {"ns": ["ns1.test.", "ns2.test."]},
            "a": {},
            "b": {"max_hosts": "1", "closest": False},
        },
        ttl="600",
        serial="3",
        contact="support.bitnames.com",
        max_hosts="4",
        closest=True,
        targeting="region ip @",
        logging={"stathat": True, "stathat_api": "abc"},
        origin="ignored",
    )
    assert (zone.ttl, zone.serial, zone.max_hosts, zone.closest) == (600, 3, 4, True)
    assert zone.targeting == Targeting.REGION | Targeting.IP | Targeting.GLOBAL
    assert (zone.labels["a"].max_hosts, zone.labels["a"].closest) == (4, True)
    assert (zone.labels["b"].max_hosts, zone.labels["b"].closest) == (1, False)
    assert soa(zone) == "ns1.test. support.bitnames.com. 3 5400 5400 1209600 3600"
    assert zone.warnings == ()


def test_null_is_as_if_the_key_were_not_there(tmp_path: Path) -> None:
    head = dict.fromkeys(("ttl", "serial", "contact", "max_hosts", "closest", "targeting"))
    label = dict.fromkeys(("a", "txt", "ttl", "max_hosts", "closest", "health", "alias"))
    zone = zone_of(tmp_path, {"x": label}, **head)
    assert zone.ttl == 120 and zone.labels["x"].records == {} and zone.labels["x"].aliases == ()
    nothing = dict.fromkeys(("caa", "flags"))
    labels = {
        "x": {"caa": nothing | {"tag": "issue", "value": "ca.test"}},
        "y": {"caa": "0 issue ca.test"},
    }
    labels |= {"t": {"txt": [{"txt": None}]}}
    zone = zone_of(tmp_path, labels)
    assert zone.labels["x"].records == zone.labels["y"].records != {}
    assert zone.labels["t"].records == {} and any("an empty text" in w for w in zone.warnings)


@pytest.mark.parametrize(
    "ttl, soa_ttl", [(0, 600), (1, 10), (30, 300), (120, 1200), (360, 3600), (86400, 3600)]
)
def test_the_ttl_of_the_soa(tmp_path: Path, ttl: int, soa_ttl: int) -> None:
    assert zone_of(tmp_path, {}, ttl=ttl).soa_ttl == soa_ttl


def test_ttls_are_the_labels_or_the_zones_but_for_ns(tmp_path: Path) -> None:
    labels = {"": {"ns": "a.", "txt": "t"}, "x": {"ttl": "601", "ns": "a.", "a": [["192.0.2.1"]]}}
    zone = zone_of(tmp_path, labels, ttl=150)
    assert [zone.ttl_of(zone.labels[""], rdtype) for rdtype in (2, 16)] == [86400, 150]
    assert [zone.ttl_of(zone.labels["x"], rdtype) for rdtype in (2, 1)] == [601, 601]


def test_a_mail_address_as_contact(tmp_path: Path) -> None:
    zone = zone_of(tmp_path, {}, contact="first.last@example.net")
    assert soa(zone).split()[1] == r"first\.last.example.net."


def test_aliases(tmp_path: Path) -> None:
    labels: dict[str, Any] = {
        "": {"alias": "Bar"},
        "bar": {"a": [["192.0.2.1"]]},
        "vendor": {"alias": ""},
        "both": {"alias": [["bar", 10], ["vendor", "20"]]},
        "each": {"alias": ["bar", "vendor"]},
    }
    zone = zone_of(tmp_path, {**labels, "": {"a": [["192.0.2.2"]]}})
    assert zone.labels["vendor"].aliases == (AliasTarget(""),)
    assert zone.labels["both"].aliases == (AliasTarget("bar", 10), AliasTarget("vendor", 20))
    assert zone.labels["each"].aliases == (AliasTarget("bar"), AliasTarget("vendor"))
    assert zone_of(tmp_path, {k: labels[k] for k in ("", "bar")}).labels[""].aliases == (
        AliasTarget("bar"),
    )


def test_labels_are_lower_case_and_make_the_names_above_them(tmp_path: Path) -> None:
    zone = zone_of(tmp_path, {"Three.TWO.one": {"a": [["192.0.2.1"]]}, "www.europe": {}})
    assert set(zone.labels) == {"three.two.one", "www.europe"}
    assert zone.names == {"", "one", "two.one", "three.two.one", "europe", "www.europe", "www"}
    assert zone.labels["three.two.one"].wire == b"\5three\3two\3one\1z\7example\0"


def test_labels_of_addresses_are_canonical(tmp_path: Path) -> None:
    labels = {"x.[2001:DB8:0::]": {}, "[192.0.2.0]": {}}
    zone = zone_of(tmp_path, labels, targeting="ip @")
    assert set(zone.labels) == {"x.[2001:db8::]", "[192.0.2.0]"}
    assert "x" in zone.names and warnings(zone) == []


def test_the_same_record_twice_counts_once_with_both_weights(tmp_path: Path) -> None:
    zone = zone_of(tmp_path, {"x": {"a": [["192.0.2.1", 10], ["192.0.2.2"], ["192.0.2.1", 5]]}})
    assert records(zone, "x", "a") == [("192.0.2.1", 15), ("192.0.2.2", 0)]
    assert ["second time" in line for line in warnings(zone)] == [True]


@pytest.mark.parametrize(
    "health, expected",
    [
        (None, ["", "", "other/web", "", ""]),
        ("dns", ["dns/192.0.2.1", "dns/key", "other/web", "dns/mail.test", ""]),
        ({"file": "dns"}, ["dns/192.0.2.1", "dns/key", "other/web", "dns/mail.test", ""]),
        ({"type": "tcp", "port": 80}, ["", "", "other/web", "", ""]),
    ],
)
def test_the_health_of_records(tmp_path: Path, health: Any, expected: list[str]) -> None:
    label = {
        "health": health,
        "a": [
            ["192.0.2.1"],
            {"ip": "192.0.2.2", "health": "key"},
            {"ip": "192.0.2.3", "health": "other/web"},
        ],
        "mx": [{"mx": "mail.test."}],
        "txt": "t",
    }
    zone = zone_of(tmp_path, {"x": label})
    found = [record.health for each in zone.labels["x"].records.values() for record in each]
    assert found == expected
    if expected[1] == "":
        assert any("counts as healthy" in line for line in warnings(zone)), "nobody knows key"
    if isinstance(health, dict) and "file" not in health:
        assert any("no status file" in line for line in warnings(zone))


def test_which_files_are_zones() -> None:
    assert all(map(is_json_zone, ("a.example.json", "A.JSON", "..json")))
    assert not any(map(is_json_zone, (".a.json", "a.zone", "json", "a.json~", ".json")))
    assert json_zone_name(Path("d/Pool.Example.JSON")) == b"\4pool\7example\0"
    assert json_zone_name(Path("..json")) == b"\0"


def test_a_zone_whose_name_leaves_no_room(tmp_path: Path) -> None:
    origin = ".".join(["a" * 61] * 3 + ["b" * 60, "c"])
    path = write(tmp_path, "{}", f"{origin}.json")
    zone = read_json_zone(path)
    assert dns.name.from_wire(zone.primary, 0)[0].to_text() == f"ns.{origin}."
    assert dns.name.from_wire(zone.contact, 0)[0].to_text() == f"{origin}."


def soa(zone: GeoZone) -> str:
    assert zone.origin == dns.name.from_text(ORIGIN).to_wire()
    return text_of(6, GeoRecord(zone.soa))
