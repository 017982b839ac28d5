"""Which places are the same to a zone: those that differ in nothing that it has labels for."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection

from xdpkit.services.dns.geo.continents import CONTINENTS, REGION_GROUPS
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.places import Fact, Places
from xdpkit.services.dns.geo.targets import Location

# A country, and an AS, that have no label: known they are nevertheless, so that what another table
# says does not count.
_OTHER_COUNTRY, _OTHER_ASN = "?", 1 << 32


_Degrees = tuple[float, float] | tuple[None, None]
_Key = tuple[str, str, int, float | None, float | None]
"""A place in parts: there may be as many as a city database has."""


class Reduction:
    """The places that stand for all those of one table that are the same to a zone.

    ``grid`` is how many degrees apart coordinates must be to be told apart; 0: any, None: they are
    never. ``own`` are the countries that the operator's map has: where it has another than the
    databases, their coordinates do not count.
    """

    def __init__(
        self, targets: Collection[str], grid: float | None, own: Collection[str] = ()
    ) -> None:
        self._targets, self._grid = targets, grid
        self._countries = {each for each in targets if each in CONTINENTS}
        self._countries |= {each[:2] for each in targets if each[2:3] == "-"}
        if grid is not None:
            self._countries |= {each for each in own if each}
        self._stand_ins: dict[str, str] = {}

    def ids(self, places: Places, most: int | None = None) -> tuple[array[int], list[Fact]]:
        """Of each place the id, and the places that the ids are of: id 0 is that of nowhere.

        Raises OverflowError for more than ``most`` of them.
        """
        ids = array("I")
        known: dict[_Key, int] = {("", "", 0, None, None): 0}
        countries = [self._country(text) for text in places.texts]
        regions = [self._region(text) for text in places.texts]
        columns = (places.country, places.region, places.asn, places.latitude, places.longitude)
        for country, region, asn, north, east in zip(*columns, strict=True):
            key = (countries[country], regions[region], self._asn(asn), *self._rounded(north, east))
            ids.append(known.setdefault(key, len(known)))
            if most is not None and len(known) > most:
                raise OverflowError
        return ids, [_fact(*key) for key in known]

    def _asn(self, asn: int) -> int:
        return asn if not asn or f"as{asn}" in self._targets else _OTHER_ASN

    def _country(self, country: str) -> str:
        if not country or country in self._countries:
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

    def _rounded(self, north: float, east: float) -> _Degrees:
        if self._grid is None or math.isnan(north):
            return None, None
        if self._grid:
            north, east = (
                round(north / self._grid) * self._grid,
                round(east / self._grid) * self._grid,
            )
            return max(min(north, 90.0), -90.0), max(min(east, 180.0), -180.0)
        return north, east


def _fact(country: str, region: str, asn: int, north: float | None, east: float | None) -> Fact:
    where = None if north is None or east is None else Coordinates(north, east)
    return Location(country, region, asn), where
