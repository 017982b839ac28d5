"""What exists in a zone, what it delegates, and how a name lies in it (RFC 1034 section 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from xdpkit.services.dns.compiler.chain import chain_of
from xdpkit.services.dns.compiler.denial import Denial
from xdpkit.services.dns.zonefile.zone import (
    AAAA,
    DNAME,
    DS,
    NS,
    A,
    RRset,
    Zone,
    find,
    is_below,
    parent,
)

EMPTY: list[RRset] = []
"""The records of an empty non-terminal: one list for all of them, never added to."""


class Match(Enum):
    """How a name lies in a zone."""

    EXACT = "exact"
    WILDCARD = "wildcard"
    CUT = "referral"
    DNAME = "dname"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name ends up; ``node`` is the name whose records count.

    That is the cut, the wildcard, the owner of the DNAME, or the closest encloser of what is
    missing.
    """

    match: Match
    node: bytes


class Tree:
    """A zone's names: ``nodes`` maps those that a question can hit to their records.

    Takes the zone's own dict over: empty non-terminals are added (RFC 4592 section 2.2.2), what is
    below a delegation moves to ``hidden``, where only glue is sought, and the hashed names of the
    NSEC3 chain to ``denial``. ``taken`` are the names of other zones served that lie in this one;
    what is at or below them is theirs. Raises ZoneError if the zone is signed but not whole.
    """

    def __init__(self, zone: Zone, taken: frozenset[bytes] = frozenset()) -> None:
        self.zone, self.origin, self.nodes = zone, zone.origin, zone.nodes
        self.taken = taken
        self.hidden: dict[bytes, list[RRset]] = {}
        self.wildcards: set[bytes] = set()
        """Names with a wildcard under them."""
        # Hashed names are no names to ask for: RFC 5155 section 7.2.8.
        chain = chain_of(zone)
        cuts = {
            name for name, rrsets in self.nodes.items() if name != self.origin and find(rrsets, NS)
        }
        self.cuts = frozenset(name for name in cuts if not self._under(name, cuts))
        if self.cuts:
            for name in [name for name in self.nodes if self._under(name, self.cuts)]:
                self.hidden[name] = self.nodes.pop(name)
        for name in list(self.nodes):
            self._connect(name)
        self.denial = Denial(self, chain) if chain else None
        """What proves that names and types do not exist; None in a zone that is not signed."""

    def _under(self, name: bytes, tops: Iterable[bytes]) -> bool:
        """Whether the name is below, and not at, one of ``tops`` (a set)."""
        while name != self.origin:
            name = parent(name)
            if name in tops:
                return True
        return False

    def _connect(self, name: bytes) -> None:
        while name != self.origin:
            above = parent(name)
            if name.startswith(b"\1*"):
                self.wildcards.add(above)
            if above in self.nodes:
                return
            self.nodes[above] = EMPTY
            name = above

    def is_taken(self, name: bytes) -> bool:
        """Whether another zone served has this name."""
        return bool(self.taken) and (name in self.taken or self._under(name, self.taken))

    def place(self, name: bytes) -> Place:
        """Where a name of this zone lies."""
        node = name
        while node not in self.nodes:
            node = parent(node)
        if node in self.cuts:
            return Place(Match.CUT, node)
        if node == name:
            return Place(Match.EXACT, node)
        if find(self.nodes[node], DNAME):
            return Place(Match.DNAME, node)
        if node in self.wildcards:
            return Place(Match.WILDCARD, b"\1*" + node)
        return Place(Match.MISSING, node)

    def addresses(self, host: bytes) -> list[RRset]:
        """Addresses of a host that are in this zone, glue or not, with their signatures."""
        if not is_below(host, self.origin):
            return []
        rrsets = self.hidden.get(host)
        if rrsets is None:
            place = self.place(host)
            known = place.node == host or place.match is Match.WILDCARD
            rrsets = self.nodes[place.node] if known else EMPTY
        return [rrset for rrset in rrsets if {rrset.rdtype, rrset.covers} & {A, AAAA}]

    def signers(self, name: bytes) -> list[RRset]:
        """The DS records of a delegation."""
        return find(self.nodes.get(name, EMPTY), DS) if name in self.cuts else []
