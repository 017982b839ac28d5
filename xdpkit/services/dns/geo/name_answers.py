"""What each name of a zone has: RRsets as in a master file, where everybody always gets all of
them, and choices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.geo.answer_search import ANY_ALIASED, OTHER, AnswerSearch
from xdpkit.services.dns.geo.answer_steps import NOTHING, AnswerSteps, Variant
from xdpkit.services.dns.geo.class_groups import ClassGroups, Groups
from xdpkit.services.dns.geo.classes import Classes, Place
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.resolve import ANY, cut_of
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, DS, NS, SOA, A

NODATA = -1
"""In the place of a choice."""


@dataclass(frozen=True, slots=True)
class NameAnswer:
    """What one name has."""

    rrsets: list[RRset]
    choices: list[tuple[int, int]] = field(default_factory=list)
    """Types in ascending order, and their choices; ANY is one of them."""
    other: int = NODATA
    """The choice for all other types."""


Row = list[Variant]
"""A type's variants, by kind of client."""


class NameAnswers:
    """Of a zone's names. Equal things, and names that are just others, share what they lead to."""

    def __init__(self, zone: GeoZone, classes: Classes, place: Place, steps: AnswerSteps) -> None:
        self._zone, self._steps = zone, steps
        self._variants = Variants(zone)
        self._search = AnswerSearch(zone, place, self._variants, steps)
        self._groups = ClassGroups(classes, zone.targeting)
        self._aliased: dict[str, NameAnswer] = {}

    def of(self, name: str) -> NameAnswer:
        """What a name has that is not below a delegation."""
        if name in self._zone.cuts:
            return NameAnswer(self.plain(name, (NS, DS, A, AAAA)))
        to = self._variants.stand_in(name)
        if to == name:
            return self._answer(name, self._rows(name), name)
        if to not in self._aliased:
            # NS and SOA are never an alias's.
            rows = self._rows(to)
            none = [NOTHING] * len(rows[OTHER])
            rows = {rdtype: row for rdtype, row in rows.items() if rdtype not in (NS, SOA)}
            if any(rows[OTHER]):
                rows |= {NS: none, SOA: none}
            self._aliased[to] = self._answer(name, rows, to)
        return self._aliased[to]

    def plain(self, name: str, types: tuple[int, ...]) -> list[RRset]:
        """All records of a label and of some types, as at a delegation."""
        label = self._zone.labels.get(name)
        found = []
        for rdtype in types:
            if label is not None and (records := label.records.get(rdtype)):
                ttl = self._zone.ttl_of(label, rdtype)
                rdatas = tuple([record.rdata for record in records])
                found.append(self._steps.images[self._steps.image(rdtype, ttl, rdatas)])
        return found

    # ---------------------------------------------------------------------------------------------

    def _of_name(self, name: str) -> Groups:
        return self._groups.of(self._variants.targets_of(name), self._search.is_closest(name))

    def _row(self, name: str, rdtype: int) -> Row:
        variant = self._search.variant
        return [variant(name, rdtype, client) for client in self._of_name(name).clients]

    def _rows(self, name: str) -> dict[int, Row]:
        """By type; those that get what any other type gets are left out."""
        types = self._search.types(name)
        other = [NOTHING] * len(self._of_name(name).clients)
        if CNAME in types:
            other = self._row(name, OTHER)
        if any(other):
            types |= {NS, SOA} if name else {NS}
        rows = {rdtype: self._row(name, rdtype) for rdtype in sorted(types)}
        rows = {rdtype: row for rdtype, row in rows.items() if row != other}
        rows[OTHER] = other
        return rows

    def _plain(self, row: Row) -> RRset | None:
        """The RRset that everybody always gets, or None."""
        first = row[0]
        return self._steps.rrset_of(first) if all(each == first for each in row) else None

    def _answer(self, name: str, rows: dict[int, Row], kinds: str) -> NameAnswer:
        """``kinds`` is the name whose kinds of clients the rows are of."""
        rows = dict(rows)
        other = rows.pop(OTHER)
        own = [] if name else [self._soa()]
        if any(other) and not rows and not own and (cname := self._plain(other)) is not None:
            return NameAnswer([cname])
        rrsets, chosen = own, {}
        for rdtype, row in rows.items():
            rrset = self._plain(row)
            # Another name with NS records would be a delegation, one with a CNAME nothing else.
            if rrset is None or rrset.rdtype == CNAME or (rdtype == NS and name):
                chosen[rdtype] = row
            else:
                rrsets.append(rrset)
        if not chosen and not any(other):
            return NameAnswer(rrsets)
        any_row = self._row(kinds, ANY if kinds == name else ANY_ALIASED)
        if any_row != other:
            chosen[ANY] = any_row
        of_class = self._of_name(kinds).of_class
        return NameAnswer(
            rrsets,
            [(rdtype, self._choice(chosen[rdtype], of_class)) for rdtype in sorted(chosen)],
            self._choice(other, of_class),
        )

    def _choice(self, row: Row, of_class: Mapping[int, int]) -> int:
        return self._steps.choice(row, of_class) if any(row) else NODATA

    def _soa(self) -> RRset:
        image = self._steps.image(SOA, self._zone.soa_ttl, (self._zone.soa,))
        return self._steps.images[image]


def is_hidden(zone: GeoZone, name: str) -> bool:
    """Whether a name is below a delegation."""
    return (cut := cut_of(zone, name)) is not None and cut != name
