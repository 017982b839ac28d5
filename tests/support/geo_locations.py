"""Tables of locations: invented ones for hypothesis, and one with coordinates."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.location_db import ASN, CITY, COUNTRY
from xdpkit.services.dns.geo.location_table import table_of_prefixes
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.places import MAP, NOTHING, Fact, PlaceList, PlaceTable
from xdpkit.services.dns.geo.targets import Location, Targeting

# Addresses close to each other, and at the ends of what there is.
_IPV4 = ("10.0.0.0", "10.0.1.0", "10.0.128.0", "10.1.0.0", "0.0.0.0", "255.255.255.255")
_IPV6 = (
    "2001:db8::",
    "2001:db8:1::",
    "2001:db8:1:2::",
    "2001:db9::",
    "::",
    "ffff:ffff:ffff:ffff::",
)

COUNTRIES = ("us", "de", "fr", "jp", "ru", "zz")
REGIONS = ("us-ca", "us-ny", "us-tx", "de-be", "ru-mow", "us-zz", "ru-dfd")
TARGETS = (
    *("us", "de", "jp", "ru", "europe", "asia", "north-america"),
    *("us-ca", "us-ny", "us-west", "us-east", "de-be", "ru-tfd", "as64496", "as1"),
    *("[10.0.0.0]", "[10.0.0.1]", "[10.0.1.0]", "[10.0.1.255]", "[255.255.255.255]"),
    *("[2001:db8:1::]", "[2001:db8:1::1]", "[2001:db8:1::2]", "[2001:db8:1:2::]", "[::]", "[::1]"),
    *("[2001:db8:1:2:ffff:ffff:ffff:ffff]", "[ffff:ffff:ffff:ffff::1]"),
)

_COUNTRY = st.sampled_from(("", *COUNTRIES))
_REGION = st.sampled_from(("", *REGIONS))
_ASN = st.sampled_from((0, 1, 64496, 64497))
_WHERE = st.none() | st.builds(Coordinates, st.sampled_from((0.0, 1.25)), st.sampled_from((0.0, 7)))

FACTS: dict[str, st.SearchStrategy[Fact]] = {
    COUNTRY: st.tuples(st.builds(Location, _COUNTRY), st.none()),
    CITY: st.tuples(st.builds(Location, _COUNTRY, _REGION), _WHERE),
    ASN: st.tuples(st.builds(lambda n: Location(asn=n), _ASN), st.none()),
    MAP: st.tuples(st.builds(Location, _COUNTRY, _REGION, _ASN), st.none()),
}


def targetings() -> st.SearchStrategy[Targeting]:
    """Any kinds of targets."""
    return st.builds(Targeting, st.integers(0, 127))


def _prefixes() -> st.SearchStrategy[Any]:
    def prefix(text: str, length: int) -> Any:
        return ip_network((text, min(length, 32 if "." in text else 64)), strict=False)

    return st.builds(prefix, st.sampled_from((*_IPV4, *_IPV6)), st.integers(0, 64))


def place_table(prefixes: dict[Any, Fact]) -> PlaceTable:
    """The table of prefixes of which the longest counts."""
    table = table_of_prefixes(list(prefixes.items()), NOTHING)
    places = PlaceList()
    for fact in table.values[1:]:
        places.add(fact)
    return PlaceTable(table.ipv4, table.ipv6, places.places())


@st.composite
def location_tables(draw: Any) -> Locations:
    """Tables of some kinds."""
    kinds = draw(st.sets(st.sampled_from((COUNTRY, CITY, ASN, MAP))))
    tables = {}
    for kind in (COUNTRY, CITY, ASN, MAP):
        if kind in kinds:
            tables[kind] = place_table(
                draw(st.dictionaries(_prefixes(), FACTS[kind], max_size=8)),
            )
    return Locations(tables)


COORDINATES = Locations(
    {
        CITY: place_table(
            {
                ip_network((ip_address("10.0.0.0") + 256 * n, 24)): (
                    Location("us", "us-ca"),
                    Coordinates(n * 0.5, n % 2 * 0.25),
                )
                for n in range(40)
            }
        )
    }
)
"""Of 10.0.0.0/24 and those that follow it: one every half degree."""
