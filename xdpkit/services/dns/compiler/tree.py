"""What exists in a zone, what it delegates, and lookups of names (RFC 1034 section 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.compiler.chain import take_nsec_chain
from xdpkit.services.dns.compiler.denial import Denial
from xdpkit.services.dns.zonefile.zone import AAAA, DNAME, DS, NS, A, Zone, find, is_below, parent

EMPTY: list[RRset] = []
"""The records of an empty non-terminal: one shared list, never modified."""


class NameMatch(Enum):
    """How a name matches in a zone."""

    EXACT = "exact"
    WILDCARD = "wildcard"
    CUT = "referral"
    DNAME = "dname"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What a name leads to; ``node`` is the name whose records apply.

    That is the cut, the wildcard, the owner of the DNAME, or the closest encloser of a missing
    name.
    """

    match: NameMatch
    node: bytes


class Tree:
    """A zone's names: ``nodes`` maps those that a question can match to their records.

    Modifies the zone's own dict: empty non-terminals are added (RFC 4592 section 2.2.2), names
    below a delegation move to ``hidden``, which only glue is taken from, and the hashed names of
    the NSEC3 chain to ``denial``. Raises ZoneError if the signed zone is incomplete.
    """

    def __init__(self, zone: Zone) -> None:
        self.zone, self.origin, self.nodes = zone, zone.origin, zone.nodes
        self.hidden: dict[bytes, list[RRset]] = {}
        self.wildcards: set[bytes] = set()
        """Names that have a wildcard under them."""
        # Hashed owner names cannot be queried: RFC 5155 section 7.2.8.
        chain = take_nsec_chain(zone)
        cuts = {
            name for name, rrsets in self.nodes.items() if name != self.origin and find(rrsets, NS)
        }
        self.cuts = frozenset(name for name in cuts if not self._is_under(name, cuts))
        if self.cuts:
            for name in [name for name in self.nodes if self._is_under(name, self.cuts)]:
                self.hidden[name] = self.nodes.pop(name)
        for name in list(self.nodes):
            self._add_ancestors(name)
        self.denial = Denial(self.origin, self.nodes, self.cuts, chain) if chain else None
        """Proofs that names and types do not exist; None in an unsigned zone."""

    def _is_under(self, name: bytes, tops: Iterable[bytes]) -> bool:
        """Whether the name is below, and not at, one of ``tops`` (a set)."""
        while name != self.origin:
            name = parent(name)
            if name in tops:
                return True
        return False

    def _add_ancestors(self, name: bytes) -> None:
        while name != self.origin:
            above = parent(name)
            if name.startswith(b"\1*"):
                self.wildcards.add(above)
            if above in self.nodes:
                return
            self.nodes[above] = EMPTY
            name = above

    def lookup(self, name: bytes) -> LookupResult:
        """What a name of this zone leads to."""
        node = name
        while node not in self.nodes:
            node = parent(node)
        if node in self.cuts:
            return LookupResult(NameMatch.CUT, node)
        if node == name:
            return LookupResult(NameMatch.EXACT, node)
        if find(self.nodes[node], DNAME):
            return LookupResult(NameMatch.DNAME, node)
        if node in self.wildcards:
            return LookupResult(NameMatch.WILDCARD, b"\1*" + node)
        return LookupResult(NameMatch.MISSING, node)

    def addresses(self, host: bytes) -> list[RRset]:
        """Addresses of a host that this zone has, glue or not, with their signatures."""
        if not is_below(host, self.origin):
            return []
        rrsets = self.hidden.get(host)
        if rrsets is None:
            result = self.lookup(host)
            known = result.node == host or result.match is NameMatch.WILDCARD
            rrsets = self.nodes[result.node] if known else EMPTY
        return [rrset for rrset in rrsets if {rrset.rdtype, rrset.covers} & {A, AAAA}]

    def ds(self, name: bytes) -> list[RRset]:
        """The DS records of a delegation."""
        return find(self.nodes.get(name, EMPTY), DS) if name in self.cuts else []
