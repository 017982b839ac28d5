"""What exists in a zone, what it delegates, and what a name comes to (RFC 1034 section 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from xdpkit.dns.zone import AAAA, CNAME, DS, NS, A, RRset, Zone, is_below, parent

EMPTY: list[RRset] = []
"""The records of an empty non-terminal: one list for all of them, never added to."""

# Of a CNAME chain: a longer one is a mistake, and resolvers give up earlier (NSD stops at 18).
CHAIN_MAX = 16


class Match(Enum):
    """How a name lies in a zone."""

    EXACT = "exact"
    WILDCARD = "wildcard"
    CUT = "referral"
    MISSING = "missing"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name ends up; ``node`` is the name whose records count (the cut, the wildcard)."""

    match: Match
    node: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """A name's CNAMEs with their owners, and the place of what the last one leads to.

    ``place`` is None when the chain comes back to where it was or is too long.
    """

    links: tuple[tuple[bytes, RRset], ...]
    target: bytes
    place: Place | None


def find(rrsets: Iterable[RRset], rdtype: int) -> list[RRset]:
    """The RRsets of a type: one or none, except that RRSIGs come in one for each type covered."""
    return [rrset for rrset in rrsets if rrset.rdtype == rdtype]


class Tree:
    """A zone's names: ``nodes`` maps those that a question can hit to their records.

    Takes the zone's own dict over: empty non-terminals are added (RFC 4592 section 2.2.2), what is
    below a delegation moves to ``hidden``, where only glue is sought. ``taken`` are the names of
    other zones served that lie in this one; what is at or below them is theirs.
    """

    def __init__(self, zone: Zone, taken: frozenset[bytes] = frozenset()) -> None:
        self.zone, self.origin, self.nodes = zone, zone.origin, zone.nodes
        self.taken = taken
        self.hidden: dict[bytes, list[RRset]] = {}
        self.wildcards: set[bytes] = set()
        """Names with a wildcard under them."""
        cuts = {
            name for name, rrsets in self.nodes.items() if name != self.origin and find(rrsets, NS)
        }
        self.cuts = frozenset(name for name in cuts if not self._under(name, cuts))
        if self.cuts:
            for name in [name for name in self.nodes if self._under(name, self.cuts)]:
                self.hidden[name] = self.nodes.pop(name)
        for name in list(self.nodes):
            self._connect(name)

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
        """Where a name of any zone lies."""
        if not is_below(name, self.origin):
            return Place(Match.OUTSIDE, name)
        node = name
        while node not in self.nodes:
            node = parent(node)
        if node in self.cuts:
            return Place(Match.CUT, node)
        # Another zone's, and nothing here says so by NS records: as good as outside.
        if self.is_taken(name):
            return Place(Match.OUTSIDE, name)
        if node == name:
            return Place(Match.EXACT, node)
        if node in self.wildcards:
            return Place(Match.WILDCARD, b"\1*" + node)
        return Place(Match.MISSING, node)

    def chain(self, name: bytes) -> Chain:
        """Follows the CNAME at the node ``name`` as far as this zone goes."""
        links: list[tuple[bytes, RRset]] = []
        place, owner, seen = Place(Match.EXACT, name), name, set[bytes]()
        while place.match in (Match.EXACT, Match.WILDCARD):
            alias = find(self.nodes[place.node], CNAME)
            if not alias:
                break
            # By node and not by owner: a wildcard that leads to itself never repeats an owner.
            if place.node in seen or len(links) == CHAIN_MAX:
                return Chain(tuple(links), owner, None)
            seen.add(place.node)
            links.append((owner, alias[0]))
            owner = alias[0].rdatas[0].lower()
            place = self.place(owner)
        return Chain(tuple(links), owner, place)

    def addresses(self, server: bytes) -> list[RRset]:
        """Addresses of a name server that are in this zone, glue or not (RFC 9471 section 2)."""
        if not is_below(server, self.origin):
            return []
        rrsets = self.hidden.get(server) or self.nodes.get(server) or EMPTY
        return find(rrsets, A) + find(rrsets, AAAA)

    def signers(self, name: bytes) -> list[RRset]:
        """The DS records of a delegation."""
        return find(self.nodes.get(name, EMPTY), DS) if name in self.cuts else []
