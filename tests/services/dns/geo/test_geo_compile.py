"""Random JSON zones: for each client, name and type the arena has what the reference says."""

from __future__ import annotations

import json
import struct
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from geo_arena_reader import (
    ANY,
    NODATA,
    NOERROR,
    NXDOMAIN,
    REFERRAL,
    Chances,
    GeoArena,
    Healthy,
    compiled,
    records,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xdpkit._core._geo_selection import Generator, Selection
from xdpkit._core._zones import ZoneArena
from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.json_text import JsonDocument
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.names import key_wire
from xdpkit.services.dns.geo.resolve import Candidate, Outcome, Resolution, resolve
from xdpkit.services.dns.geo.targets import Location, client_targets, join_target
from xdpkit.services.dns.geo.zone_json import parse_zone

ORIGIN = b"\1z\7example\0"
TYPES = (1, 2, 5, 6, 15, 16, 28, 33, 43)

CLIENTS = [
    (None, Location()),
    (None, Location("us")),
    (None, Location("us", "us-ca", 64500)),
    (None, Location("us", "us-ny")),
    (None, Location("de")),
    (None, Location("fr", asn=64500)),
    (None, Location("jp")),
    ("192.0.2.1", Location("de")),
    ("192.0.2.9", Location("us")),
    ("2001:db8::1", Location()),
]


class View:
    """The classes of CLIENTS."""

    id = bytes(range(16))

    def __init__(self, zone: GeoZone) -> None:
        found = [
            client_targets(ip_address(address) if address else None, location, zone.targeting)
            for address, location in CLIENTS
        ]
        self.classes = tuple(dict.fromkeys(found))
        self.coordinates = (None,) * len(self.classes)


# -------------------------------------------------------------------------------------------------

NAMES = ("", "a", "b", "a.b", "c.a.b", "only", "sub", "ns.sub", "*", "*.b", "us", "a.us")
TARGETS = ("@", "@", "@", "us", "europe", "de", "us-ca", "us-west", "as64500")
ADDRESSED = (*TARGETS, "[192.0.2.1]", "[192.0.2.0]", "[2001:db8::]")
WEIGHTS = st.sampled_from([0, 0, 1, 10, 4294967295])
STATUSES = st.sampled_from([None, None, "m/up", "m/down", "n/down"])


def weighted(**fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A record with a weight, and perhaps a status."""
    record = st.fixed_dictionaries({**fields, "weight": WEIGHTS, "health": STATUSES})
    return record.map(lambda made: {key: each for key, each in made.items() if each is not None})


HOSTS = st.sampled_from(["h", "long.name.elsewhere.", "a.b"])
LABEL = st.fixed_dictionaries(
    {},
    optional={
        "a": st.lists(weighted(ip=st.sampled_from([f"192.0.2.{n}" for n in range(6)])), max_size=5),
        "aaaa": st.lists(weighted(ip=st.sampled_from(["2001:db8::1", "2001:db8::2"])), max_size=2),
        "cname": st.lists(weighted(cname=HOSTS), max_size=3),
        "mx": st.lists(
            st.fixed_dictionaries({"mx": HOSTS, "weight": WEIGHTS, "preference": st.just(5)}),
            max_size=3,
        ),
        "txt": st.lists(st.sampled_from(["one", "two"]), max_size=2),
        "ns": st.lists(st.sampled_from(["ns.sub.z.example.", "ns.test."]), min_size=1, max_size=2),
        "ds": st.just(["1 8 2 " + "ab" * 32]),
        "alias": st.lists(
            st.tuples(st.sampled_from([*NAMES, "gone"]), WEIGHTS).map(list), max_size=3
        ),
        "ttl": st.sampled_from([30, 60]),
        "max_hosts": st.integers(1, 4),
        "health": st.just({"file": "m"}),
    },
)


def labels(found: list[tuple[str, str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """By key. Wildcards cannot be delegated."""
    for name, _, label in found:
        if name.startswith("*"):
            label.pop("ns", None)
    return {join_target(name, to): label for name, to, label in found}


ZONES = st.fixed_dictionaries(
    {
        "ttl": st.sampled_from([0, 120]),
        "targeting": st.sampled_from(
            [
                "@",
                "@ country continent",
                "country",
                "@ ip asn region regiongroup country continent",
            ]
        ),
        "data": st.lists(
            st.tuples(st.sampled_from(NAMES), st.sampled_from(ADDRESSED), LABEL),
            min_size=3,
            max_size=14,
        ).map(labels),
    }
)


def read(document: dict[str, Any]) -> GeoZone:
    """The zone in a document."""
    return parse_zone(JsonDocument(Path("z.example.json"), json.dumps(document)), ORIGIN, 7)


# -------------------------------------------------------------------------------------------------


def wanted(found: Resolution) -> Chances:
    """What the reference says, in the reader's form."""
    chances: Chances = {}
    for share, candidate in found.options:
        each = _records(candidate)
        chances[each] = chances.get(each, Fraction(0)) + share
    return chances


def _records(candidate: Candidate) -> Any:
    count = len(candidate.records)
    weights = candidate.weights or (0,) * count
    pairs = [(each.rdata, weight) for each, weight in zip(candidate.records, weights, strict=True)]
    hosts = count if candidate.weights is None else candidate.max_hosts
    return records(candidate.rdtype, candidate.ttl, pairs, hosts)


def got(
    arena: GeoArena, wire: bytes, rdtype: int, number: int, healthy: Healthy, ignore: bool
) -> tuple[Outcome, Chances]:
    """What the arena says."""
    is_choice, offset = arena.lookup(wire, rdtype)
    if is_choice:
        for each in (healthy, lambda _: True) if ignore else (healthy,):
            if found := arena.chances(offset, number, wire, rdtype, each):
                return Outcome.ANSWER, found
        offset = arena.fallback(offset)
    kind, reply = arena.image(offset, wire, rdtype)
    if kind == NOERROR:
        rrset = reply.answer[0]
        assert len(reply.answer) == 1
        pairs = [(rdata.to_wire() or b"", 0) for rdata in rrset]
        all_of_them = records(rrset.rdtype, rrset.ttl, pairs, len(pairs))
        return Outcome.ANSWER, {all_of_them: Fraction(1)}
    if kind == REFERRAL:
        rrset = reply.authority[0]
        pairs = [(rdata.to_wire() or b"", 0) for rdata in rrset]
        return Outcome.REFERRAL, {records(2, rrset.ttl, pairs, len(pairs)): Fraction(1)}
    assert [rrset.rdtype for rrset in reply.authority] == [6]
    return {NODATA: Outcome.NODATA, NXDOMAIN: Outcome.NXDOMAIN}[kind], {}


def check(zone: GeoZone, arena: GeoArena, view: View, down: frozenset[str], ignore: bool) -> None:
    """Compares all questions."""

    def healthy(status: str) -> bool:
        return status not in down

    asked = {*zone.names, "gone", "x.sub", "x.y.b", "x.us", "a.b.c.d"}
    for number, targets in enumerate(view.classes):
        for name in asked:
            wire = key_wire(name, ORIGIN)
            for rdtype in (*TYPES, ANY):
                found = resolve(zone, name, rdtype, targets, healthy, ignore)
                outcome, chances = got(arena, wire, rdtype, number, healthy, ignore)
                what = (name, rdtype, targets)
                if rdtype == ANY and not arena.lookup(wire, ANY)[0]:
                    # Any of the RRsets; the SOA is one that the reference does not count.
                    if outcome is Outcome.ANSWER and found.options:
                        [each] = chances
                        again = resolve(zone, name, each.rdtype, targets, healthy, ignore)
                        assert wanted(again) == chances, what
                    elif name or found.options:
                        assert outcome == found.outcome, what
                    continue
                assert (outcome, chances) == (found.outcome, wanted(found)), what


DOWN = st.sampled_from([(), ("m/down", "n/down"), ("m/up", "m/down"), ("m/up", "m/down", "n/down")])


# Found once: an alias of the zone's name and ANY; a CNAME of one kind of clients and no SOA.
APEX_NS = {"data": {"*.b": {"alias": ""}, "": {"ns": ["ns.test."]}}}
OWN_CNAME = {
    "data": {
        "us": {"cname": "h", "ns": ["ns.test."]},
        "b": {"cname": "h", "alias": [["", 0], ["", 0]]},
    }
}


@settings(max_examples=100, deadline=None)
@example(document=APEX_NS, ignore=True, down=())
@example(document=OWN_CNAME, ignore=True, down=())
@given(document=ZONES, ignore=st.booleans(), down=DOWN)
def test_as_the_reference(document: dict[str, Any], ignore: bool, down: tuple[str, ...]) -> None:
    try:
        zone = read(document)
    except ZoneError:
        return
    view = View(zone)
    data = compiled(zone, view)
    arena = GeoArena(data)
    ZoneArena(data)
    check(zone, arena, view, frozenset({*down, "m/192.0.2.1"} if down else down), ignore)
    if arena.geo:
        assert (arena.view, arena.classes) == (View.id, len(view.classes))


def drawn(made: bytes, count: int) -> tuple[int, frozenset[bytes]]:
    """The type and the data of records that were drawn."""
    at, found, types = 0, set[bytes](), set[int]()
    for _ in range(count):
        rdtype, length = struct.unpack_from("!2xH2x4xH", made, at)
        found.add(made[at + 12 : at + 12 + length])
        types.add(rdtype)
        at += 12 + length
    assert at == len(made) and len(found) == count
    [rdtype] = types
    return rdtype, frozenset(found)


def selected(selection: Selection, variant: int, generator: Generator) -> int | tuple[bytes, int]:
    """An image, or records that are drawn: with weighted aliases it may be either."""
    while True:
        image, _ = selection.pick(variant, generator)
        if image is not None:
            return image
        try:
            return selection.draw(variant, generator)
        except ValueError:
            continue


@settings(max_examples=40, deadline=None)
@given(document=ZONES, ignore=st.booleans(), down=DOWN, seed=st.integers(0, 1 << 32))
def test_what_is_drawn_is_what_may_be(
    document: dict[str, Any], ignore: bool, down: tuple[str, ...], seed: int
) -> None:
    try:
        zone = read(document)
    except ZoneError:
        return
    view = View(zone)
    arena = GeoArena(data := compiled(zone, view))
    if not arena.geo:
        return
    states = bytes([1 if status in down else 2 for status in arena.statuses])
    selection, generator = Selection(ZoneArena(data), states, ignore), Generator(seed)
    for number in range(len(view.classes)):
        for name in zone.names:
            wire = key_wire(name, ORIGIN)
            for rdtype in (*TYPES, ANY):
                is_choice, choice = arena.lookup(wire, rdtype)
                if not is_choice:
                    continue
                outcome, chances = got(
                    arena, wire, rdtype, number, lambda status: status not in down, ignore
                )
                variant = arena.variant_of(choice, number)
                if outcome is not Outcome.ANSWER:
                    assert selection.pick(variant, generator) == (None, None)
                    continue
                made = selected(selection, variant, generator)
                if isinstance(made, int):
                    [rrset] = arena.image(made, wire, rdtype)[1].answer
                    kind, found = rrset.rdtype, frozenset(each.to_wire() or b"" for each in rrset)
                else:
                    kind, found = drawn(*made)
                may = [
                    each
                    for each in chances
                    if each.rdtype == kind and found <= {rdata for rdata, _ in each.records}
                ]
                counts = {each.hosts or len(each.records) for each in may}
                assert len(found) in counts, (name, rdtype, number)
