"""Which records of a zone a question gets: the reference that everything faster is tested against.

For each target of the client, the most specific first, the label of that key is asked for an alias,
then a CNAME, then the type; the first that has records left is the whole answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from xdpkit.services.dns.geo.model import GeoRecord, GeoZone, Label, draw_weights
from xdpkit.services.dns.geo.names import above
from xdpkit.services.dns.geo.targets import ANYWHERE, join_target
from xdpkit.services.dns.zonefile.zone import CNAME, DS, NS, SOA

ANY = 255

SPECIAL_NAMES = ("_status", "_country", "_health")
"""First labels of names that tell something; a zone's own names win, wildcards do not."""

Healthy = Callable[[str], bool]
"""Whether what has this status (``FILE/KEY``) is healthy."""


class Outcome(Enum):
    """What kind of answer a question gets."""

    ANSWER = "answer"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    REFERRAL = "referral"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True)
class Step:
    """A label that was found, and the target for which it was."""

    key: str
    target: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """Records that are an answer: at most ``max_hosts`` of them, drawn by weight."""

    path: tuple[Step, ...]
    """The labels that led to it: those of aliases, and that of the records."""
    rdtype: int
    records: tuple[GeoRecord, ...]
    """Those that are healthy, or all if none is and all are to be answered."""
    weights: tuple[int, ...] | None
    """For the draw, which takes records of weight 0 last; None: all are answered."""
    max_hosts: int
    ttl: int
    closest: bool

    @property
    def key(self) -> str:
        """The label that has the records."""
        return self.path[-1].key

    @property
    def target(self) -> str:
        """The level that matched: of the name asked, if there were no aliases."""
        return self.path[0].target


Options = tuple[tuple[Fraction, Candidate], ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer to one question."""

    outcome: Outcome
    name: str
    """The key of the name that decided: the one asked, its wildcard, its delegation, or a special
    name.
    """
    options: Options = ()
    """Each with its probability: several where aliases have weights."""


def resolve(
    zone: GeoZone,
    name: str,
    rdtype: int,
    targets: Sequence[str],
    healthy: Healthy = lambda _: True,
    answer_all_unhealthy: bool = True,
) -> Resolution:
    """Answers for a name, a key as ``label_key`` makes it, and a client of these targets.

    If nothing is left because nothing is healthy, with ``answer_all_unhealthy`` health is ignored.
    """
    if (cut := cut_of(zone, name, rdtype)) is not None:
        return Resolution(Outcome.REFERRAL, cut, _at_cut(zone, cut, NS))
    if rdtype == DS and name in zone.cuts:
        found = _at_cut(zone, name, DS)
        return Resolution(Outcome.ANSWER if found else Outcome.NODATA, name, found)
    if rdtype == SOA and not name:
        return Resolution(Outcome.ANSWER, name, ((Fraction(1), _soa(zone)),))
    name = existing(zone, name)
    searches = [_Search(zone, name, rdtype, targets, healthy)]
    if answer_all_unhealthy:
        searches.append(_Search(zone, name, rdtype, targets, lambda _: True))
    if name in SPECIAL_NAMES and name not in zone.names:
        return Resolution(Outcome.SPECIAL, name)
    for search in searches:
        if options := search.options(name, ()):
            return Resolution(Outcome.ANSWER, name, options)
    return Resolution(Outcome.NODATA if name in zone.names else Outcome.NXDOMAIN, name)


def cut_of(zone: GeoZone, name: str, rdtype: int = 0) -> str | None:
    """The delegation that a question ends at: the highest one on the way to the name."""
    cut, at = None, name
    while zone.cuts and at:
        # RFC 3658 section 2.2.1.1: the DS at a delegation is this zone's.
        if at in zone.cuts and not (at == name and rdtype == DS):
            cut = at
        at = above(at)
    return cut


def existing(zone: GeoZone, name: str) -> str:
    """The name, or the special name or the wildcard that stands for it (RFC 4592 section 3.3).

    It depends on no client.
    """
    if name in zone.names:
        return name
    first = name.split(".", 1)[0]
    if first in SPECIAL_NAMES:
        return first
    encloser = above(name)
    while encloser not in zone.names:
        encloser = above(encloser)
    wildcard = f"*.{encloser}" if encloser else "*"
    return wildcard if wildcard in zone.names else name


def _at_cut(zone: GeoZone, cut: str, rdtype: int) -> Options:
    """All records of a delegation: other servers follow it, and it depends on no client."""
    label = zone.labels[cut]
    if not (records := label.records.get(rdtype)):
        return ()
    ttl, path = zone.ttl_of(label, rdtype), (Step(cut, ANYWHERE),)
    return ((Fraction(1), Candidate(path, rdtype, records, None, len(records), ttl, False)),)


def _soa(zone: GeoZone) -> Candidate:
    path = (Step("", ANYWHERE),)
    return Candidate(path, SOA, (GeoRecord(zone.soa),), None, 1, zone.soa_ttl, False)


class _Search:
    """One question's, which looks at each name once however many aliases lead there."""

    def __init__(
        self, zone: GeoZone, asked: str, rdtype: int, targets: Sequence[str], healthy: Healthy
    ) -> None:
        self.zone, self.asked, self.rdtype = zone, asked, rdtype
        self.targets, self.healthy = targets, healthy
        self.known: dict[str, Options] = {}

    def options(self, name: str, path: tuple[Step, ...]) -> Options:
        """What the first level that has any yields."""
        if name not in self.known:
            # For aliases that lead back here: only targets that no client has make it so.
            self.known[name] = ()
            self.known[name] = self._levels(name)
        return tuple((share, _below(path, candidate)) for share, candidate in self.known[name])

    def _levels(self, name: str) -> Options:
        for target in self.targets:
            label = self.zone.labels.get(join_target(name, target))
            if label is not None and (found := self._level(name, label, target)):
                return found
        return ()

    def _level(self, name: str, label: Label, target: str) -> Options:
        step = Step(label.key, target)
        # The zone's own NS are never an alias's or hidden by one.
        own = self.rdtype == NS and not name
        if not own and (found := self._aliases(label, step)):
            return found
        kinds = [self.rdtype] if own else [CNAME, self.rdtype]
        if self.rdtype == ANY:
            # RFC 8482 section 4.1: one of the RRsets. NS are never an alias's.
            kinds = [CNAME, *label.records]
            if name != self.asked:
                kinds = [kind for kind in kinds if kind != NS]
        for rdtype in kinds:
            records = [each for each in label.records.get(rdtype, ()) if self._alive(each)]
            if records:
                return ((Fraction(1), self._candidate(label, step, rdtype, records)),)
        return ()

    def _alive(self, record: GeoRecord) -> bool:
        return not record.health or self.healthy(record.health)

    def _candidate(
        self, label: Label, step: Step, rdtype: int, records: list[GeoRecord]
    ) -> Candidate:
        weights = draw_weights(rdtype, [record.weight for record in records])
        return Candidate(
            path=(step,),
            rdtype=rdtype,
            records=tuple(records),
            weights=None if weights is None else tuple(weights),
            max_hosts=1 if rdtype == CNAME else label.max_hosts,
            ttl=self.zone.ttl_of(label, rdtype),
            closest=label.closest,
        )

    def _aliases(self, label: Label, step: Step) -> Options:
        """Of the aliases that yield anything, each by its weight."""
        if self.rdtype in (NS, SOA):
            return ()
        found = [
            (alias.weight, options)
            for alias in label.aliases
            if cut_of(self.zone, alias.key) is None
            and (options := self.options(alias.key, (step,)))
        ]
        weights = [weight for weight, _ in found]
        if not any(weights):
            weights = [1] * len(found)
        merged: dict[tuple[str, int], tuple[Fraction, Candidate]] = {}
        total = sum(weights)
        for weight, (_, options) in zip(weights, found, strict=True):
            part = Fraction(weight, total)
            for share, candidate in options if weight else ():
                at = (candidate.key, candidate.rdtype)
                before, first = merged.get(at, (Fraction(0), candidate))
                merged[at] = (before + share * part, first)
        return tuple(merged.values())


def _below(path: tuple[Step, ...], found: Candidate) -> Candidate:
    return Candidate(
        (*path, *found.path),
        found.rdtype,
        found.records,
        found.weights,
        found.max_hosts,
        found.ttl,
        found.closest,
    )
