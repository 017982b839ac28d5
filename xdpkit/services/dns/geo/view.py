"""Makes the view of a zone: which class every address is in (``cext/geo/view.h``).

view = make_view(locations, Variants(zone).targets, zone.targeting)
GeoView(view.block).find("192.0.2.1")   # (7, 24): class 7, as is all of 192.0.2.0/24
view.classes[7]                         # ("us", "north-america", "@")
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from xdpkit._core._geo_view import CLASSES_MAX, EXACT, Merge, TooManyError
from xdpkit._core._limits import DNS_TEXT_MAX
from xdpkit.services.dns.geo.address_ranges import AddressTargets, address_ranges
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.places import MAP, Fact, client_fact
from xdpkit.services.dns.geo.reduction import Reduction
from xdpkit.services.dns.geo.targets import (
    ANYWHERE,
    NOWHERE,
    Location,
    Targeting,
    client_targets,
    target_kind,
)

# How far apart, in degrees, coordinates are told apart: the first that leaves few enough classes.
GRIDS = (0, 1, 2, 5, 10, 20, 45, 90)

ClassFact = tuple[tuple[str, ...], Coordinates | None]
"""The targets of a class of clients, and where it is."""


@dataclass(frozen=True, slots=True)
class View:
    """Every address's class."""

    block: bytes
    """What ``GeoView`` takes."""
    id: bytes
    """Of the block and of all that it was made from: equal views have equal ids."""
    classes: tuple[tuple[str, ...], ...]
    """Of each class its targets that the zone has labels for, the most specific first, and ``@`` if
    the zone has it; the first is that of clients of whom nothing is known.
    """
    coordinates: tuple[Coordinates | None, ...]
    """Of each class, for ``closest``."""
    warnings: tuple[str, ...]


def make_view(
    locations: Locations,
    targets: frozenset[str],
    targeting: Targeting,
    closest: bool = False,
) -> View:
    """The view of a zone that has labels for ``targets``; with ``closest`` by coordinates, too.

    Raises TooManyError for more classes than there can be, ValueError for damaged locations.
    """
    last: TooManyError | None = None
    for grid in GRIDS if closest else (None,):
        try:
            view = _made(locations, targets, targeting, grid)
        except TooManyError as error:
            last = error
            continue
        return view
    raise TooManyError(f"{last}: give fewer places a label of their own")


class Views:
    """The views of a process's zones: those of zones that want the same are one."""

    def __init__(self, locations: Locations) -> None:
        self._locations = locations
        self._made: dict[tuple[frozenset[str], Targeting, bool], View] = {}

    def of(self, targets: frozenset[str], targeting: Targeting, closest: bool = False) -> View:
        """What ``make_view`` makes. Raises as it does."""
        key = targets, targeting, closest
        if key not in self._made:
            self._made[key] = make_view(self._locations, *key)
        return self._made[key]


def _made(
    locations: Locations, targets: frozenset[str], targeting: Targeting, grid: float | None
) -> View:
    own = locations.tables.get(MAP)
    countries = {own.places.texts[each] for each in set(own.places.country)} if own else ()
    reduction = Reduction(targets, grid, countries)
    tables, facts = [], []
    # Of the only table each place is a class: no need to merge millions of ranges to see it.
    most = CLASSES_MAX if grid is not None and len(locations.tables) == 1 else None
    for table in locations.tables.values():
        try:
            ids, known = reduction.ids(table.places, most)
        except OverflowError:
            raise _too_many() from None
        v4, v6 = table.ipv4, table.ipv6
        tables.append((ids, v4.starts, v4.indexes, v6.starts, v6.indexes))
        facts.append(known)
    if any(len({where for _, where in known}) > CLASSES_MAX for known in facts):
        # Of several, each place on the sphere.
        raise _too_many()
    exact = address_ranges(targets if Targeting.IP in targeting else ())
    ids = array("I", range(len(exact.values)))
    v4, v6 = exact.ipv4, exact.ipv6
    tables.append((ids, v4.starts, v4.indexes, v6.starts, v6.indexes))
    merge = Merge(tables)
    classes = _Classes(targets, targeting)
    class_of = array("H")
    kinds = list(locations.tables)
    for *places, address in merge.combinations():
        found = {kind: known[i] for kind, known, i in zip(kinds, facts, places, strict=True)}
        class_of.append(classes.of(client_fact(found), exact.values[address]))
    names, coordinates = zip(*classes.known, strict=True)
    inputs = repr((names, coordinates, sorted(targets), targeting.value, grid)).encode()
    texts = _texts(names, coordinates)
    block, name = merge.build(class_of, len(names), sorted(classes.exact), inputs, texts)
    doubts = (*_without_locations(locations, targets), *_warnings(grid))
    return View(block, name, names, coordinates, doubts)


def _texts(names: Sequence[tuple[str, ...]], coordinates: Sequence[Coordinates | None]) -> bytes:
    """What each class is in words, as ``_country`` says it."""
    found = [
        _string(" ".join(targets)) + _string("({:.3f},{:.3f})".format(*where) if where else "")
        for targets, where in zip(names, coordinates, strict=True)
    ]
    return array("I", accumulate(map(len, found))).tobytes() + b"".join(found)


def _string(text: str) -> bytes:
    """A character-string; targets that it cannot have are left out."""
    data = text.encode()
    if len(data) > DNS_TEXT_MAX:
        data = data[: data.rindex(b" ", 0, DNS_TEXT_MAX + 1)]
    return bytes([len(data)]) + data


def _too_many() -> TooManyError:
    return TooManyError(f"more than {CLASSES_MAX} classes of clients")


def _without_locations(locations: Locations, targets: frozenset[str]) -> Iterator[str]:
    found = sorted(each for each in targets if target_kind(each) != Targeting.IP)
    if found and not locations.tables:
        some = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
        yield (
            f"labels of countries or other places ({some}), and no geoip or map, so that no client "
            "gets them: set [dns] geoip, or [dns.geo] map"
        )


def _warnings(grid: float | None) -> tuple[str, ...]:
    if not grid:
        return ()
    return (
        f"closest: there are too many places to tell all apart: clients are placed to {grid} "
        f"degree{'s' if grid > 1 else ''}",
    )


class _Classes:
    """The classes that were found so far."""

    def __init__(self, targets: frozenset[str], targeting: Targeting) -> None:
        self._targets, self._targeting = targets, targeting
        self.known: dict[ClassFact, int] = {}
        self.exact: list[tuple[int, int]] = []
        """Starts within /64s, and the class from there on."""
        self._index((), NOWHERE, None)

    def of(self, fact: Fact, own: AddressTargets) -> int:
        """The class of clients of whom this is known; EXACT if it depends on the last bits."""
        found = self._index(own.targets, *fact)
        if not own.exact:
            return found
        following = int(own.exact[0]) >> 64 << 64
        for address in own.exact:
            if following < int(address):
                self.exact.append((following, found))
            first = (f"[{address}]", *own.targets)
            self.exact.append((int(address), self._index(first, *fact)))
            following = int(address) + 1
        if following >> 64 == int(own.exact[0]) >> 64:
            self.exact.append((following, found))
        return EXACT

    def _index(self, first: Sequence[str], place: Location, where: Coordinates | None) -> int:
        found = client_targets(None, place, self._targeting)
        targets = (*first, *(each for each in found if each == ANYWHERE or each in self._targets))
        index = self.known.setdefault((targets, where), len(self.known))
        if index == CLASSES_MAX:
            raise _too_many()
        return index
