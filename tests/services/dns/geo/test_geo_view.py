"""Views: every address has the targets that the reference says, as far as its scope."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from geo_locations import COORDINATES, TARGETS, location_tables, place_table, targetings
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit._core._geo_view import GeoView, TooManyError
from xdpkit.services.dns.geo import view as view_module
from xdpkit.services.dns.geo.continents import CONTINENTS
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.location_db import ASN, CITY, COUNTRY
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.places import MAP
from xdpkit.services.dns.geo.targets import ANYWHERE, Location, Targeting, client_targets
from xdpkit.services.dns.geo.view import View, Views, make_view

Address = IPv4Address | IPv6Address

EVERY_KIND = Targeting(127)


def expected(
    locations: Locations, targets: frozenset[str], targeting: Targeting, address: Address
) -> tuple[str, ...]:
    """The reference: a client's targets that the zone has labels for."""
    place = locations.fact(address)[0]
    found = client_targets(address, place, targeting)
    return tuple(each for each in found if each == ANYWHERE or each in targets)


def edges(locations: Locations, targets: frozenset[str]) -> set[Address]:
    """Where something may change, and the addresses next to it."""
    found: set[Address] = {ip_address(text) for text in ("0.0.0.0", "255.255.255.255", "::")}
    for table in locations.tables.values():
        found |= {IPv4Address(each) for each in table.ipv4.starts}
        found |= {IPv6Address(each << 64) for each in table.ipv6.starts}
    found |= {ip_address(each[1:-1]) for each in targets if each[0] == "["}
    for each in list(found):
        kind, top = type(each), (1 << each.max_prefixlen) - 1
        for step in (1, 255, 1 << (each.max_prefixlen - 16), 1 << 64):
            found |= {kind(max(int(each) - step, 0)), kind(min(int(each) + step, top))}
    return found


def within(address: Address, scope: int, draw: Any) -> set[Address]:
    """Addresses of the prefix of that length: the first, the last, and one between."""
    network = ip_network((address, scope), strict=False)
    first, last = int(network.network_address), int(network.broadcast_address)
    kind = type(address)
    return {kind(first), kind(last), kind(draw(st.integers(first, last)))}


@settings(max_examples=200, deadline=None)
@given(
    locations=location_tables(),
    targets=st.frozensets(st.sampled_from(TARGETS), max_size=8),
    targeting=targetings(),
    closest=st.booleans(),
    others=st.lists(st.ip_addresses(), max_size=4),
    data=st.data(),
)
def test_every_class_is_that_of_the_reference(
    locations: Locations,
    targets: frozenset[str],
    targeting: Targeting,
    closest: bool,
    others: list[Address],
    data: Any,
) -> None:
    view = make_view(locations, targets, targeting, closest)
    compiled = GeoView(view.block)
    assert compiled.id == view.id
    assert compiled.classes == len(view.classes) == len(view.coordinates)
    for address in edges(locations, targets) | set(others):
        index, scope = compiled.find(address)
        assert view.classes[index] == expected(locations, targets, targeting, address), address
        where = locations.fact(address)[1]
        assert view.coordinates[index] == (where if closest else None)
        assert scope <= address.max_prefixlen
        for other in within(address, scope, data.draw):
            assert compiled.find(other)[0] == index, (address, other)
        if scope:
            # The next wider prefix has something else: else the scope would be wider.
            assert is_mixed(compiled, address, scope - 1, edges(locations, targets)), address


def is_mixed(compiled: GeoView, address: Address, length: int, found: set[Address]) -> bool:
    """Whether a prefix has addresses of several classes."""
    network = ip_network((address, length), strict=False)
    some = {network.network_address, network.broadcast_address, address}
    some |= {each for each in found if each.version == address.version and each in network}
    return len({compiled.find(each)[0] for each in some}) > 1


def known(facts: dict[str, Location], targets: set[str]) -> tuple[str, ...]:
    """The targets of 10.0.0.1, of which the tables have these."""
    prefix = ip_network("10.0.0.0/8")
    tables = {kind: place_table({prefix: (place, None)}) for kind, place in facts.items()}
    view = make_view(Locations(tables), frozenset(targets), EVERY_KIND)
    return view.classes[GeoView(view.block).find("10.0.0.1")[0]]


def test_what_has_no_label_hides_what_has_one_nevertheless() -> None:
    """The zone has no label for what counts, and one for what another table says."""
    asn, own = {ASN: Location(asn=1)}, {MAP: Location(asn=2)}
    assert known(asn, {"as1"}) == ("as1", "@")
    assert known({**asn, **own}, {"as1"}) == ("@",)
    city = {CITY: Location("us", "us-ca")}
    country = {COUNTRY: Location("de")}
    assert known(city, {"us", "us-ca", "us-west"}) == ("us-ca", "us-west", "us", "@")
    assert known({**country, **city}, {"us", "us-ca", "us-west"}) == ("@",)
    assert known({**country, **city}, {"us-ca"}) == ("@",)
    assert known({**city, MAP: Location("fr")}, {"us", "us-ca", "north-america"}) == ("@",)
    assert known({COUNTRY: Location("us"), **city}, {"us-west"}) == ("us-west", "@")


def test_without_anything_all_are_of_class_0() -> None:
    view = make_view(Locations({}), frozenset(), Targeting.GLOBAL | Targeting.COUNTRY)
    compiled = GeoView(view.block)
    assert view.classes == ((ANYWHERE,),) and view.coordinates == (None,)
    for text in ("0.0.0.0", "255.255.255.255", "::", "ffff::", "2001:db8::1"):
        assert compiled.find(text) == (0, 0)
    assert make_view(Locations({}), frozenset(), Targeting.COUNTRY).classes == ((),)


def single(targets: set[str]) -> tuple[View, GeoView]:
    view = make_view(Locations({}), frozenset(targets), Targeting.IP | Targeting.GLOBAL)
    return view, GeoView(view.block)


def test_addresses_and_their_networks() -> None:
    view, compiled = single({"[192.0.2.7]", "[192.0.2.0]", "[2001:db8:1::]", "[2001:db8:1::5]"})

    def found(text: str) -> tuple[tuple[str, ...], int]:
        index, scope = compiled.find(text)
        return view.classes[index], scope

    assert found("192.0.2.7") == (("[192.0.2.7]", "[192.0.2.0]", "@"), 32)
    assert found("192.0.2.6") == (("[192.0.2.0]", "@"), 32)
    assert found("192.0.2.200") == (("[192.0.2.0]", "@"), 25)
    assert found("192.0.3.1") == (("@",), 24)
    assert found("2001:db8:1::5") == (("[2001:db8:1::5]", "[2001:db8:1::]", "@"), 128)
    assert found("2001:db8:1::4") == (("[2001:db8:1::]", "@"), 128)
    assert found("2001:db8:1::6") == (("[2001:db8:1::]", "@"), 127)
    assert found("2001:db8:1:0:8000::") == (("[2001:db8:1::]", "@"), 65)
    assert found("2001:db8:1:1::") == (("[2001:db8:1::]", "@"), 64)
    assert found("2001:db8:1:ffff::1") == (("[2001:db8:1::]", "@"), 49)
    assert found("2001:db8:2::") == (("@",), 47)


def test_single_addresses_at_the_ends_of_everything() -> None:
    last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    view, compiled = single({"[::1]", f"[{last}]", "[255.255.255.255]", "[0.0.0.1]"})
    for text in ("::1", last, "255.255.255.255", "0.0.0.1"):
        assert view.classes[compiled.find(text)[0]] == (f"[{text}]", "@")
    for text in ("::", "::2", "ffff::", "255.255.255.254", "0.0.0.0"):
        assert view.classes[compiled.find(text)[0]] == ("@",)
    assert view.classes[compiled.find("ffff:ffff:ffff:ffff::")[0]] == ("@",)


def test_zones_that_want_the_same_share_a_view() -> None:
    views = Views(COORDINATES)
    first = views.of(frozenset({"us"}), EVERY_KIND)
    assert views.of(frozenset({"us"}), EVERY_KIND) is first
    others = [
        views.of(frozenset({"us"}), Targeting.COUNTRY),
        views.of(frozenset({"us"}), EVERY_KIND, closest=True),
        views.of(frozenset({"us-ca"}), EVERY_KIND),
    ]
    assert len({first.id, *(each.id for each in others)}) == 4


def test_equal_inputs_have_equal_ids() -> None:
    targets = {"[192.0.2.7]", "[192.0.2.8]"}
    assert single(targets)[0].id == single(targets)[0].id
    assert single(targets)[0].id != single({"[192.0.2.7]"})[0].id


def test_coordinates_are_rounded_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    locations = COORDINATES
    exact = make_view(locations, frozenset(), EVERY_KIND, closest=True)
    assert not exact.warnings and len(exact.classes) == 41
    monkeypatch.setattr(view_module, "CLASSES_MAX", 30)
    rounded = make_view(locations, frozenset(), EVERY_KIND, closest=True)
    assert len(rounded.classes) <= 30
    assert rounded.warnings == (
        "closest: there are too many places to tell all apart: clients are placed to 1 degree",
    )
    index, _ = GeoView(rounded.block).find("10.0.3.1")
    assert rounded.coordinates[index] == Coordinates(2.0, 0.0)
    monkeypatch.setattr(view_module, "CLASSES_MAX", 1)
    with pytest.raises(TooManyError, match="more than 1 classes of clients: give fewer places"):
        make_view(locations, frozenset(), EVERY_KIND, closest=True)


def cities(*others: str) -> Locations:
    """Many places within a degree, each in another country; one has an operator's country."""
    where = Coordinates(48.0, 11.0)
    names = sorted(CONTINENTS)[:100]
    prefixes = {
        ip_network(f"10.0.{i}.0/24"): (Location(name), where) for i, name in enumerate(names)
    }
    own = {ip_network(f"10.0.{i}.0/25"): (Location(name), None) for i, name in enumerate(others)}
    return Locations({CITY: place_table(prefixes), MAP: place_table(own)})


def test_countries_without_labels_are_not_told_apart_by_closest() -> None:
    view = make_view(cities(), frozenset(), EVERY_KIND, closest=True)
    assert view.coordinates == (None, Coordinates(48.0, 11.0))
    # But where the operator has another one than the database, its coordinates do not count.
    first, second = sorted(CONTINENTS)[:2]
    view = make_view(cities(first, first), frozenset(), EVERY_KIND, closest=True)
    compiled = GeoView(view.block)
    found = [view.coordinates[compiled.find(f"10.0.{i}.1")[0]] for i in range(3)]
    assert found == [Coordinates(48.0, 11.0), None, Coordinates(48.0, 11.0)]
    labels = frozenset({second})
    classes = make_view(cities(), labels, EVERY_KIND, closest=True).classes
    assert sorted(classes) == sorted([("@",), ("@",), (second, "@")])


def test_without_closest_coordinates_make_no_classes() -> None:
    view = make_view(COORDINATES, frozenset(), EVERY_KIND)
    assert view.coordinates == (None,) and GeoView(view.block).find("10.0.3.1") == (0, 0)
