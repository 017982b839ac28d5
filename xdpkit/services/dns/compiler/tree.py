"""What exists in a zone, what it delegates, and the proofs of what does not exist."""

from __future__ import annotations

from xdpkit._core._zone_denial import Denial, Flaw
from xdpkit._core._zone_tree import Tree
from xdpkit.config.dns import NSEC3_ITERATIONS
from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler.chain import chain_of, check_chain
from xdpkit.services.dns.zonefile.zone import Zone, name_text

# By the reason of a Flaw.
_TEXT = {
    "unsigned-proof": "no RRSIG for the NSEC3 of {name}; sign the zone again",
    "empty": "no NSEC3 record has these parameters; sign the zone again",
    "link": "the record at {name} does not lead to {other}, the next one; sign the zone again",
    "unsigned": "no RRSIG for this type at {name} in a signed zone; sign it again",
    "unproved": "no {kind} for {name}; sign the zone again",
    "too-large": "the {kind} of {name} and its signatures have more bytes than a DNS message",
}


def tree_of(zone: Zone, max_iterations: int = NSEC3_ITERATIONS) -> tuple[Tree, Denial | None]:
    """The names of a zone, and the proofs of a signed one.

    Both take what they have out of the zone's own dict. Raises ZoneError if the signed zone is
    incomplete.
    """
    chain = chain_of(zone)
    if chain is None:
        return Tree(zone.origin, zone.nodes), None
    found = chain.parameters
    hashing = (found.iterations, found.salt) if found else None
    denial = Denial(zone.origin, chain.error_at, hashing)
    try:
        # Hashed owner names cannot be queried: RFC 5155 section 7.2.8.
        denial.take_hashed(zone.nodes)
        check_chain(zone, chain, max_iterations)
        tree = Tree(zone.origin, zone.nodes)
        denial.link(tree)
    except Flaw as flaw:
        raise flaw_error(flaw, denial) from None
    return tree, denial


def flaw_error(flaw: Flaw, denial: Denial) -> ZoneError:
    """The error of an incomplete signed zone."""
    kind = "NSEC3" if denial.hashed else "NSEC"
    names = [name_text(name) if name else "" for name in (flaw.name, flaw.other)]
    text = _TEXT[flaw.reason].format(kind=kind, name=names[0], other=names[1])
    return flaw.rrset.error(text)
