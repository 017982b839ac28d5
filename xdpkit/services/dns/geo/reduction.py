"""Which places are the same to a zone: those that differ in nothing that it has labels for."""

from __future__ import annotations

from array import array
from collections.abc import Collection

from xdpkit.services.dns.geo.continents import CONTINENTS, REGION_GROUPS
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.places import NOTHING, Fact, Places
from xdpkit.services.dns.geo.targets import Location

# A country, and an AS, that have no label: known they are nevertheless, so that what another table
# says does not count.
_OTHER_COUNTRY, _OTHER_ASN = "?", 1 << 32


class Reduction:
    """The places that stand for all those of one table that are the same to a zone.

    ``grid`` is how many degrees apart coordinates must be to be told apart; 0: any, None: they are
    never.
    """

    def __init__(self, targets: Collection[str], grid: float | None) -> None:
        self._targets, self._grid = targets, grid
        self._countries = {each for each in targets if each in CONTINENTS}
        self._countries |= {each[:2] for each in targets if each[2:3] == "-"}
        self._stand_ins: dict[str, str] = {}

    def ids(self, places: Places) -> tuple[array[int], list[Fact]]:
        """Of each place the id, and the places that the ids are of: id 0 is that of nowhere."""
        ids = array("I")
        known: dict[Fact, int] = {NOTHING: 0}
        by_key: dict[tuple[float, ...], int] = {}
        columns = [places.country, places.region, places.asn]
        if self._grid is None:
            keys = zip(*columns, strict=True)
        else:
            keys = zip(*columns, places.latitude, places.longitude, strict=True)
        for index, key in enumerate(keys):
            found = by_key.get(key)
            if found is None:
                fact = self._reduced(places.fact(index))
                found = by_key[key] = known.setdefault(fact, len(known))
            ids.append(found)
        return ids, list(known)

    def _reduced(self, fact: Fact) -> Fact:
        place, where = fact
        asn = place.asn if not place.asn or f"as{place.asn}" in self._targets else _OTHER_ASN
        return Location(self._country(place.country), self._region(place.region), asn), (
            self._rounded(where)
        )

    def _country(self, country: str) -> str:
        # With coordinates, whether tables have the same country matters.
        if not country or country in self._countries or self._grid is not None:
            return country
        continent = CONTINENTS.get(country, "")
        if continent not in self._targets:
            return _OTHER_COUNTRY
        return self._stand_ins.setdefault(continent, country)

    def _region(self, region: str) -> str:
        if region in self._targets:
            return region
        group = REGION_GROUPS.get(region, "")
        return self._stand_ins.setdefault(group, region) if group in self._targets else ""

    def _rounded(self, where: Coordinates | None) -> Coordinates | None:
        if self._grid is None or where is None:
            return None
        if not self._grid:
            return where
        north, east = (round(each / self._grid) * self._grid for each in where)
        return Coordinates(max(min(north, 90.0), -90.0), max(min(east, 180.0), -180.0))
