"""What databases have of addresses: tables of ranges, and their places in columns.

Columns, because a city database has hundreds of thousands of places; no object for each.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.location_db import combined
from xdpkit.services.dns.geo.location_table import Ranges, address_number, overlaid
from xdpkit.services.dns.geo.targets import NOWHERE, Location

MAP = "map"
"""The kind of an operator's table; those of databases are ``location_db.KINDS``."""

Fact = tuple[Location, Coordinates | None]
"""What a table has of an address."""

NOTHING: Fact = (NOWHERE, None)

Numbers = Sequence[int]
"""An array, or a part of a file that is mapped."""


@dataclass(slots=True)
class Places:
    """Places by their index, 0 is nowhere: numbers of texts, AS numbers, degrees or NaN."""

    texts: list[str] = field(default_factory=lambda: [""])
    country: Numbers = field(default_factory=lambda: array("I"))
    region: Numbers = field(default_factory=lambda: array("I"))
    asn: Numbers = field(default_factory=lambda: array("I"))
    latitude: Sequence[float] = field(default_factory=lambda: array("d"))
    longitude: Sequence[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.country)

    def fact(self, index: int) -> Fact:
        """What is known of a place."""
        place = Location(
            self.texts[self.country[index]], self.texts[self.region[index]], self.asn[index]
        )
        return place, self.coordinates(index)

    def coordinates(self, index: int) -> Coordinates | None:
        """Where it is on the sphere."""
        north, east = self.latitude[index], self.longitude[index]
        return None if math.isnan(north) else Coordinates(north, east)


class PlaceList:
    """Places that are added one after another; the first is nowhere."""

    def __init__(self) -> None:
        self._texts = {"": 0}
        self._numbers = (array("I", [0]), array("I", [0]), array("I", [0]))
        self._degrees = (array("d", [math.nan]), array("d", [math.nan]))

    def add(self, fact: Fact) -> int:
        """Adds a place unless it is nowhere; returns its index."""
        if fact == NOTHING:
            return 0
        place, where = fact
        texts = self._texts
        values = (
            texts.setdefault(place.country, len(texts)),
            texts.setdefault(place.region, len(texts)),
            place.asn,
        )
        for column, value in zip(self._numbers, values, strict=True):
            column.append(value)
        for degrees, each in zip(self._degrees, where or (math.nan, math.nan), strict=True):
            degrees.append(each)
        return len(self._numbers[0]) - 1

    def places(self) -> Places:
        """All of them."""
        return Places(list(self._texts), *self._numbers, *self._degrees)


@dataclass(slots=True)
class PlaceTable:
    """The ranges of both IP versions, each with the index of its place."""

    ipv4: Ranges
    ipv6: Ranges
    places: Places

    def fact(self, address: IPv4Address | IPv6Address) -> Fact:
        """What it has of an address."""
        found = self.ipv4 if address.version == 4 else self.ipv6
        at = bisect_right(found.starts, address_number(address)) - 1
        return self.places.fact(found.indexes[at])


def client_fact(found: Mapping[str, Fact]) -> Fact:
    """What is known of a client, of what the tables have by their kinds.

    Where the operator has another country than the databases, nothing is known of the coordinates.
    """
    base = combined({kind: place for kind, (place, _) in found.items() if kind != MAP})
    own = found.get(MAP, NOTHING)[0]
    where = next((each for _, each in found.values() if each is not None), None)
    if own.country and own.country != base.country:
        where = None
    return overlaid((own, base)), where
