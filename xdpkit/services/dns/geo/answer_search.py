"""What a name and a type have for a client, whatever the statuses and the dice: ``resolve`` with
all that it leaves to chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xdpkit._core._geo_nearest import Places
from xdpkit.services.dns.geo.alias_reach import CLOSEST, reached_types
from xdpkit.services.dns.geo.answer_steps import AnswerSteps, Variant
from xdpkit.services.dns.geo.classes import Place
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.model import GeoZone, Label
from xdpkit.services.dns.geo.resolve import ANY, cut_of
from xdpkit.services.dns.geo.targets import ANYWHERE, join_target
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, NS, SOA, A

OTHER = 0
"""Any type that no label has records of."""

ANY_ALIASED = -1
"""ANY, where an alias has led."""

_NONE: frozenset[int] = frozenset()


class Client(NamedTuple):
    """What matters of clients, to one name."""

    targets: tuple[str, ...]
    at: Coordinates | None
    """Only where something is ``closest``."""


class AnswerSearch:
    """Looks up each name, type and kind of client once, however many aliases lead there."""

    def __init__(self, zone: GeoZone, place: Place, variants: Variants, steps: AnswerSteps) -> None:
        self._zone, self._place, self._variants, self._steps = zone, place, variants, steps
        self._known: dict[tuple[str, int, Client], Variant] = {}
        self._of_label: dict[tuple[str, int, Coordinates | None], Variant] = {}
        self._types = reached_types(zone)
        self._places: dict[tuple[str, int], Places] = {}

    def types(self, name: str) -> frozenset[int]:
        """The types that a name may have records of, its own or by aliases."""
        return self._types.get(name, _NONE) - {CLOSEST}

    def is_closest(self, name: str) -> bool:
        """Whether it matters to a name where its clients are."""
        return CLOSEST in self._types.get(name, _NONE)

    def variant(self, name: str, rdtype: int, client: Client) -> Variant:
        """The steps for a name, which has these clients."""
        at = (name, rdtype, client)
        if at not in self._known:
            # For aliases that lead back here: only targets that no client has make it so.
            self._known[at] = ()
            self._known[at] = self._levels(name, rdtype, client)
        return self._known[at]

    def _levels(self, name: str, rdtype: int, client: Client) -> Variant:
        found: Variant = ()
        labels = self._zone.labels
        for target in client.targets:
            label = labels.get(join_target(name, target))
            if label is not None and (steps := self._level(name, label, rdtype, client)):
                found += tuple([step for step in steps if step not in found])
                if self._steps.is_sure(steps):
                    break
        return found

    def _level(self, name: str, label: Label, rdtype: int, client: Client) -> Variant:
        own = rdtype == NS and not name
        found = self._aliases(label, rdtype, client) if label.aliases and not own else ()
        if found and self._steps.is_sure(found):
            return found
        kinds = [rdtype] if own or rdtype == CNAME else [CNAME, rdtype]
        if rdtype in (ANY, ANY_ALIASED):
            # RFC 8482 section 4.1: one of the RRsets. NS are never an alias's.
            none = (CNAME,) if rdtype == ANY else (CNAME, NS)
            kinds = [CNAME, *(each for each in label.records if each not in none)]
        for kind in kinds:
            steps = self._records(label, kind, client.at)
            found += steps
            if steps and self._steps.is_sure(steps):
                break
        return found

    def _aliases(self, label: Label, rdtype: int, client: Client) -> Variant:
        if rdtype in (NS, SOA):
            return ()
        rdtype = ANY_ALIASED if rdtype == ANY else rdtype
        found = []
        for alias in label.aliases:
            if cut_of(self._zone, alias.key) is None:
                variant = self.variant(alias.key, rdtype, self._narrowed(alias.key, client))
                if variant:
                    found.append((alias.weight, variant))
        return self._steps.one_of(found)

    def _narrowed(self, name: str, client: Client) -> Client:
        """What matters of the client there."""
        targets = client.targets
        # Most names have no variants.
        if targets != (ANYWHERE,):
            targets = self._variants.relevant(name, targets)
        return Client(targets, client.at if self.is_closest(name) else None)

    def _records(self, label: Label, rdtype: int, at: Coordinates | None) -> Variant:
        records = label.records.get(rdtype)
        if not records:
            return ()
        near = label.closest and rdtype in (A, AAAA) and len(records) > label.max_hosts
        key = (label.key, rdtype, at if near else None)
        if key not in self._of_label:
            ttl = self._zone.ttl_of(label, rdtype)
            chosen = records
            if near and at is not None:
                chosen = tuple([records[i] for i in self._nearest(label, rdtype, at)])
            found = self._steps.records(rdtype, ttl, chosen, label.max_hosts)
            if len(chosen) < len(records) and not self._steps.is_sure(found):
                # If none of the nearest is healthy: any of the others.
                found += self._steps.records(rdtype, ttl, records, label.max_hosts)
            self._of_label[key] = found
        return self._of_label[key]

    def _nearest(self, label: Label, rdtype: int, at: Coordinates) -> Sequence[int]:
        places = self._places.get((label.key, rdtype))
        if places is None:
            found = [self._place(each.rdata) for each in label.records[rdtype]]
            places = self._places[label.key, rdtype] = Places(found)
        return places.nearest(at, label.max_hosts)
