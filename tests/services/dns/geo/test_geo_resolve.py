"""Which records a question gets: levels, aliases, health, names that do not exist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import dns.rdatatype
import pytest
from geo_zones import text_of, zone_of
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.services.dns.geo.json_text import JsonDocument
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.names import label_key
from xdpkit.services.dns.geo.resolve import Candidate, Outcome, Resolution, resolve
from xdpkit.services.dns.geo.targets import Location, client_targets
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.zone_json import parse_zone

ORIGIN = b"\1z\7example\0"


def address(last: int, weight: int = 0) -> dict[str, Any]:
    return {"a": [[f"192.0.2.{last}", weight]]}


LABELS: dict[str, dict[str, Any]] = {
    "": {"ns": ["ns1.test."], "mx": [{"mx": "mx.test."}], "alias": "www"},
    "us": {"a": [["192.0.2.50"]]},
    "europe": {"mx": [{"mx": "mx-eu.test."}]},
    "www": {**address(1), "txt": "everybody"},
    "www.europe": {"cname": "eu.test."},
    "www.de": {"a": [], "txt": "de"},
    "www.us": address(2),
    "0": address(3, 10),
    "0.us": address(4, 10),
    "0-alias": {"alias": "0"},
    "alias2": {"alias": "0-alias"},
    "v": {"alias": "", "txt": "hidden by nothing"},
    "v.asia": {"alias": "gone", "a": [["192.0.2.9"]]},
    "drawn": {"alias": [["0", 3], ["www", 1], ["gone", 100]]},
    "evenly": {"alias": ["0", "www"]},
    "again": {"alias": [["drawn", 1], ["0", 1]]},
    "three.two.one": address(6),
    "onlyus.us": address(7),
    "*": {"txt": "wild"},
    "*.us": address(8),
    "*.w": address(10),
    "sub": {"ns": ["ns.sub"], "ds": "1 8 2 " + "ab" * 32},
    "sub.us": {"ns": ["us.sub"]},
    "ns.sub": address(11),
    "tosub": {"alias": "ns.sub"},
    "both": {"cname": "c.test.", "a": [["192.0.2.12"]]},
}


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> GeoZone:
    return zone_of(tmp_path_factory.mktemp("zone"), LABELS, ttl=150, max_hosts=4)


def ask(zone: GeoZone, name: str, kind: str = "A", country: str = "") -> Resolution:
    targets = client_targets(None, Location(country), zone.targeting)
    return resolve(zone, label_key(name), dns.rdatatype.from_text(kind), targets)


def only(found: Resolution) -> Candidate:
    assert found.outcome is Outcome.ANSWER
    [(share, candidate)] = found.options
    assert share == 1
    return candidate


def data(candidate: Candidate) -> list[str]:
    return [text_of(candidate.rdtype, record) for record in candidate.records]


# (name, type, country): level, label and records.
ANSWERS: dict[tuple[str, str, str], tuple[str, str, str]] = {
    ("www", "A", ""): ("@", "www", "192.0.2.1"),
    ("WWW", "A", ""): ("@", "www", "192.0.2.1"),
    ("www", "A", "us"): ("us", "www.us", "192.0.2.2"),
    ("www", "TXT", "us"): ("@", "www", '"everybody"'),
    ("www", "A", "fr"): ("europe", "www.europe", "eu.test."),
    ("www", "TXT", "fr"): ("europe", "www.europe", "eu.test."),
    ("www", "A", "de"): ("europe", "www.europe", "eu.test."),
    ("www", "TXT", "de"): ("de", "www.de", '"de"'),
    ("www", "A", "ca"): ("@", "www", "192.0.2.1"),
    ("www.us", "A", "de"): ("@", "www.us", "192.0.2.2"),
    ("www.europe", "TXT", "us"): ("@", "www.europe", "eu.test."),
    ("us", "A", "de"): ("@", "us", "192.0.2.50"),
    ("", "MX", ""): ("@", "", "0 mx.test."),
    ("", "MX", "de"): ("europe", "europe", "0 mx-eu.test."),
    ("", "A", "us"): ("us", "us", "192.0.2.50"),
    ("", "A", ""): ("@", "www", "192.0.2.1"),
    ("", "NS", "de"): ("@", "", "ns1.test."),
    ("0.us", "A", ""): ("@", "0.us", "192.0.2.4"),
    ("0-alias", "A", "us"): ("@", "0.us", "192.0.2.4"),
    ("alias2", "A", "de"): ("@", "0", "192.0.2.3"),
    ("v", "A", "us"): ("@", "us", "192.0.2.50"),
    ("v", "TXT", ""): ("@", "www", '"everybody"'),
    ("v", "A", "jp"): ("asia", "v.asia", "192.0.2.9"),
    ("onlyus", "A", "us"): ("us", "onlyus.us", "192.0.2.7"),
    ("a.b.c", "TXT", ""): ("@", "*", '"wild"'),
    ("nope", "A", "us"): ("us", "*.us", "192.0.2.8"),
    ("nope.us", "A", ""): ("@", "*.us", "192.0.2.8"),
    ("a.b.w", "A", ""): ("@", "*.w", "192.0.2.10"),
    ("both", "A", ""): ("@", "both", "c.test."),
    ("both", "CNAME", ""): ("@", "both", "c.test."),
    ("sub", "DS", ""): ("@", "sub", "1 8 2 " + "ab" * 32),
    ("", "SOA", "de"): ("@", "", ""),
    ("www", "ANY", ""): ("@", "www", "192.0.2.1"),
}


@pytest.mark.parametrize("question", ANSWERS)
def test_answers(zone: GeoZone, question: tuple[str, str, str]) -> None:
    level, key, record = ANSWERS[question]
    found = only(ask(zone, *question))
    assert (found.target, found.key) == (level, key)
    if question[1] != "SOA":
        assert data(found) == [record]


@pytest.mark.parametrize(
    "name, kind, country, expected",
    [
        ("one", "A", "", "nodata"),
        ("two.one", "A", "", "nodata"),
        ("www", "MX", "", "nodata"),
        ("onlyus", "A", "de", "nodata"),
        ("v", "NS", "", "nodata"),
        ("nope", "MX", "us", "nodata"),
        ("x.www", "A", "", "nxdomain"),
        ("x.two.one", "A", "", "nxdomain"),
        ("nope.europe", "A", "", "nxdomain"),
        ("w", "A", "", "nodata"),
        ("sub", "A", "", "referral"),
        ("ns.sub", "A", "", "referral"),
        ("a.b.sub", "DS", "", "referral"),
        ("tosub", "A", "", "nodata"),
        ("_status", "TXT", "", "special"),
        ("_country.x.y", "TXT", "", "special"),
        ("_health", "A", "", "special"),
    ],
)
def test_names_without_an_answer(
    zone: GeoZone, name: str, kind: str, country: str, expected: str
) -> None:
    assert ask(zone, name, kind, country).outcome.value == expected


def test_without_a_wildcard_a_name_is_none(tmp_path: Path) -> None:
    small = zone_of(tmp_path, {"www": {}, "_status": {"txt": "own"}})
    assert ask(small, "nope").outcome is Outcome.NXDOMAIN
    assert data(only(ask(small, "_status", "TXT"))) == ['"own"']


def test_a_delegation_depends_on_no_client(zone: GeoZone) -> None:
    for country in ("us", "de"):
        found = ask(zone, "a.sub", "A", country)
        assert (found.outcome, found.name) == (Outcome.REFERRAL, "sub")
        [(_, candidate)] = found.options
        assert data(candidate) == ["ns.sub."]
        assert ask(zone, "sub", "DS", country).outcome is Outcome.ANSWER


def test_what_an_answer_says_of_its_draw(zone: GeoZone) -> None:
    found = only(ask(zone, "0"))
    assert (found.weights, found.max_hosts, found.ttl) == ((10,), 4, 150)
    assert only(ask(zone, "www")).weights == (1,), "addresses are always drawn"
    assert only(ask(zone, "www", "TXT")).weights is None, "all are answered"
    assert only(ask(zone, "both")).max_hosts == 1, "one CNAME"
    assert only(ask(zone, "", "NS")).ttl == 86400


def test_weighted_aliases_draw_among_those_that_yield(zone: GeoZone) -> None:
    def shares(name: str, kind: str = "A") -> dict[str, Fraction]:
        return {each.key: share for share, each in ask(zone, name, kind).options}

    assert shares("drawn") == {"0": Fraction(3, 4), "www": Fraction(1, 4)}
    assert shares("drawn", "TXT") == {"www": 1}
    assert shares("evenly") == {"0": Fraction(1, 2), "www": Fraction(1, 2)}
    assert shares("again") == {"0": Fraction(7, 8), "www": Fraction(1, 8)}
    [(_, first), _] = ask(zone, "again").options
    assert [step.key for step in first.path] == ["again", "drawn", "0"]


def test_targets_that_no_client_has_end(tmp_path: Path) -> None:
    labels = {"a.us": {"alias": "b"}, "b.europe": {"alias": "a"}}
    zone = zone_of(tmp_path, labels)
    assert resolve(zone, "a", 1, ("us", "europe", "@")).outcome is Outcome.NODATA


HEALTH: dict[str, dict[str, Any]] = {
    "x": {"health": "f", "a": [["192.0.2.1", 5], ["192.0.2.2", 5]]},
    "x.us": {"health": "f", "a": [["192.0.2.3"], ["192.0.2.4"]]},
}


def test_what_is_unhealthy_is_left_out_and_then_the_level(tmp_path: Path) -> None:
    zone = zone_of(tmp_path, HEALTH)

    def served(bad: set[int], everything: bool = True) -> list[int] | Outcome:
        dead = {f"f/192.0.2.{each}" for each in bad}
        found = resolve(zone, "x", 1, ("us", "@"), lambda name: name not in dead, everything)
        if not found.options:
            return found.outcome
        return [int(text.rsplit(".")[-1]) for text in data(only(found))]

    assert served(set()) == [3, 4]
    assert served({3}) == [4]
    assert served({3, 4}) == [1, 2], "the next level"
    assert served({3, 4, 1}) == [2]
    assert served({1, 2, 3, 4}) == [3, 4], "all of the first level"
    assert served({1, 2, 3, 4}, everything=False) is Outcome.NODATA


LABEL_NAMES = ("", "a", "b", "c.a", "w")
TARGETS = ("us", "de", "europe", "asia")


@st.composite
def zones(draw: st.DrawFn) -> dict[str, Any]:
    """Zones without anything that GeoDNS does not have, and without circles."""
    labels: dict[str, Any] = {}
    keys = [*LABEL_NAMES, *(f"{n}.{t}" if n else t for n in LABEL_NAMES for t in TARGETS)]
    for number, key in enumerate(draw(st.lists(st.sampled_from(keys), unique=True))):
        label: dict[str, Any] = labels.setdefault(key, {})
        for kind in draw(st.lists(st.sampled_from(("a", "aaaa", "cname", "alias")), unique=True)):
            if kind == "a":
                health = [f"f/{i}" for i in range(draw(st.integers(0, 2)))]
                label["a"] = [
                    {"ip": f"192.0.{number}.{i}", "health": h} for i, h in enumerate(health)
                ]
            elif kind == "aaaa":
                label["aaaa"] = [[f"2001:db8::{number + 1:x}"]]
            elif kind == "cname":
                label["cname"] = f"c{number}.test."
            else:
                # Only ever to names further back, so in no circle.
                base = key.rsplit(".", 1)[0] if key.rsplit(".")[-1] in TARGETS else key
                base = "" if key in TARGETS else base
                later = LABEL_NAMES[LABEL_NAMES.index(base) + 1 :]
                if later and key not in TARGETS:
                    label["alias"] = draw(st.sampled_from(later))
    return labels


def geodns(
    labels: dict[str, Any], name: str, kind: str, targets: tuple[str, ...]
) -> Iterator[list[str]]:
    """GeoDNS's own way: every match in its order, health not yet looked at."""
    for target in targets:
        key = name if target == "@" else f"{name}.{target}" if name else target
        label = labels.get(key)
        if label is None:
            continue
        if "alias" in label:
            yield from geodns(labels, label["alias"], kind, targets)
        if "cname" in label:
            yield [label["cname"]]
        for record in [label.get(kind) or []]:
            if record:
                yield record


@settings(max_examples=300, deadline=None)
@given(
    labels=zones(),
    name=st.sampled_from((*LABEL_NAMES, "a.us", "europe")),
    kind=st.sampled_from(("a", "aaaa")),
    country=st.sampled_from(("", "us", "de", "jp", "br")),
    dead=st.sets(st.sampled_from(("f/0", "f/1"))),
)
def test_the_same_records_as_geodns(
    labels: dict[str, Any], name: str, kind: str, country: str, dead: set[str]
) -> None:
    document = JsonDocument(Path("z.example.json"), json.dumps({"data": labels}))
    zone = parse_zone(document, ORIGIN, 0)
    targets = client_targets(None, Location(country), zone.targeting)
    expected: list[str] = []
    for match in geodns(labels, name, kind, targets):
        alive = [
            each if isinstance(each, str) else each["ip"] if isinstance(each, dict) else each[0]
            for each in match
            if not (isinstance(each, dict) and each["health"] in dead)
        ]
        if alive:
            expected = alive
            break
    rdtype = dns.rdatatype.from_text(kind)
    found = resolve(zone, name, rdtype, targets, lambda each: each not in dead, False)
    assert (data(only(found)) if found.options else []) == expected


@settings(max_examples=300, deadline=None)
@given(
    labels=zones(),
    name=st.sampled_from((*LABEL_NAMES, "a.us", "europe", "x")),
    country=st.sampled_from(("", "us", "de", "jp", "br")),
)
def test_what_a_compiler_need_not_do(labels: dict[str, Any], name: str, country: str) -> None:
    document = JsonDocument(Path("z.example.json"), json.dumps({"data": labels}))
    zone = parse_zone(document, ORIGIN, 0)
    variants = Variants(zone)
    targets = client_targets(None, Location(country), zone.targeting)
    few = variants.relevant(name, targets)
    other = variants.stand_in(name)
    for rdtype in (1, 5, 28, 255):
        found = resolve(zone, name, rdtype, targets)
        assert resolve(zone, name, rdtype, few) == found
        stand_in = resolve(zone, other, rdtype, targets)
        assert found.outcome == stand_in.outcome
        for (_, one), (_, its) in zip(found.options, stand_in.options, strict=True):
            assert (one.path[-1], one.records) == (its.path[-1], its.records)


def test_the_targets_that_matter(zone: GeoZone) -> None:
    variants = Variants(zone)
    targets = ("us-ca", "us", "north-america", "europe", "asia", "de", "@")

    def relevant(name: str) -> str:
        return " ".join(variants.relevant(name, targets))

    assert relevant("0") == relevant("alias2") == "us @"
    assert relevant("www") == "us europe de @"
    assert relevant("v") == "us europe asia de @", "the zone's own, and www's"
    assert relevant("three.two.one") == "@"


def test_names_that_are_just_others(zone: GeoZone) -> None:
    variants = Variants(zone)
    found = {name: variants.stand_in(name) for name in ("alias2", "0-alias", "v", "drawn", "")}
    assert found == {"alias2": "0", "0-alias": "0", "v": "v", "drawn": "drawn", "": ""}
    assert variants.stand_in("tosub") == "tosub", "below a delegation"
    assert variants.stand_in("nothing") == "nothing"


def test_a_zone_of_aliases_by_the_hundred_is_resolved_at_once(tmp_path: Path) -> None:
    """Each of 16 rows of 100 labels points to all of the next: 100^16 ways, were they walked."""
    rows, across = 16, 100
    labels: dict[str, Any] = {"end": address(1)}
    for row in range(rows):
        following = [f"{i}.r{row + 1}" for i in range(across)] if row + 1 < rows else ["end"]
        labels |= {f"{i}.r{row}": {"alias": following} for i in range(across)}
    zone = zone_of(tmp_path, labels)
    assert data(only(ask(zone, "0.r0"))) == ["192.0.2.1"]
