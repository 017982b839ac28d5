"""Proofs that a name or a type does not exist, in presigned zones (RFC 4035, RFC 5155).

A proof is an NSEC or NSEC3 RRset with its signatures. Which ones an answer needs is decided here
for every name known when the zone is compiled; those for a missing name itself are found by
``cext/zone/denial.c``, in the same sorted chain.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.compiler.chain import NsecChain, Proof, canonical_key, split_parameters
from xdpkit.services.dns.zonefile.zone import DS, NSEC, RRSIG, find, name_text, parent, signatures


class Denial:
    """The sorted chain of a signed zone, and what it proves about the names that exist."""

    def __init__(
        self,
        origin: bytes,
        nodes: Mapping[bytes, list[RRset]],
        cuts: AbstractSet[bytes],
        chain: NsecChain,
    ) -> None:
        """Of a tree's names and cuts. Raises ZoneError if part of the chain, or a signature, is
        missing."""
        self._origin, self._cuts, self._chain = origin, cuts, chain
        self.parameters = chain.parameters
        if self.parameters:
            proofs = list(chain.hashed.values())
        else:
            proofs = [
                Proof(
                    name,
                    canonical_key(name, origin),
                    (find(rrsets, NSEC)[0], *signatures(rrsets, NSEC)),
                )
                for name, rrsets in nodes.items()
                if find(rrsets, NSEC)
            ]
        self.proofs = sorted(proofs, key=lambda proof: proof.key)
        self._keys = [proof.key for proof in self.proofs]
        self._check_links()
        for name, rrsets in nodes.items():
            self._check_signed(name, rrsets)
            self._check_proved(name, rrsets)

    def _key(self, name: bytes) -> bytes:
        if self.parameters:
            return self.parameters.hash(name)
        return canonical_key(name, self._origin)

    def _check_links(self) -> None:
        if not self.proofs:
            raise self._chain.error_at.error(
                "no NSEC3 record has these parameters; sign the zone again"
            )
        for proof, after in zip(self.proofs, self.proofs[1:] + self.proofs[:1], strict=True):
            rdata = proof.rrsets[0].rdatas[0]
            if self.parameters:
                rest = split_parameters(rdata)[1]
                right = rest[1 : 1 + rest[0]] == after.key
            else:
                right = rdata.lower().startswith(after.owner)
            if not right:
                raise proof.rrsets[0].error(
                    f"the record at {name_text(proof.owner)} does not lead to"
                    f" {name_text(after.owner)}, the next one; sign the zone again"
                )

    def _check_signed(self, name: bytes, rrsets: list[RRset]) -> None:
        """RFC 4035 section 2.2: a signature for each RRset that the zone is authoritative for."""
        signed = {rrset.covers for rrset in rrsets if rrset.rdtype == RRSIG}
        for rrset in rrsets:
            if rrset.rdtype == RRSIG or (name in self._cuts and rrset.rdtype not in (DS, NSEC)):
                continue
            if rrset.rdtype not in signed:
                raise rrset.error(
                    f"no RRSIG for this type at {name_text(name)} in a signed zone; sign it again"
                )

    def _check_proved(self, name: bytes, rrsets: list[RRset]) -> None:
        if not self.parameters:
            proved = not rrsets or bool(find(rrsets, NSEC))
        else:
            # Opt-out may omit unsigned delegations, and the empty non-terminals above only those.
            optional = not rrsets or (name in self._cuts and not find(rrsets, DS))
            proved = self.match(name) is not None or (optional and self.cover(name).opt_out)
        if not proved:
            source = rrsets[0] if rrsets else self._chain.error_at
            kind = "NSEC3" if self.parameters else "NSEC"
            raise source.error(f"no {kind} for {name_text(name)}; sign the zone again")

    # ---------------------------------------------------------------------------------------------

    def match(self, name: bytes) -> Proof | None:
        """The record that lists the types of a name."""
        key = self._key(name)
        proof = self.proofs[bisect_right(self._keys, key) - 1]
        return proof if proof.key == key else None

    def cover(self, name: bytes) -> Proof:
        """The record whose interval begins at or before the name; the last one wraps around."""
        return self.proofs[bisect_right(self._keys, self._key(name)) - 1]

    def provable(self, name: bytes) -> bytes:
        """The name, or its closest ancestor that opt-out did not omit."""
        while self.parameters and not self.match(name):
            name = parent(name)
        return name

    def nodata(self, name: bytes) -> list[Proof]:
        """The name exists and a type does not: RFC 4035 section 3.1.3.1, RFC 5155 section 7.2.3."""
        if not self.parameters:
            # An empty non-terminal has no record of its own.
            return [self.match(name) or self.cover(name)]
        match = self.match(name)
        if match:
            return [match]
        # RFC 5155 section 7.2.4: opt-out omitted it.
        above = self.provable(name)
        return [self._required_match(above), self.cover(_next_closer(name, above))]

    def no_wildcard(self, name: bytes) -> Proof:
        """Proves that there is no wildcard under an encloser of missing names."""
        return self.cover(b"\1*" + self.provable(name))

    def _required_match(self, name: bytes) -> Proof:
        match = self.match(name)
        assert match is not None  # provable() ensures it
        return match

    def missing(self, name: bytes, encloser: bytes) -> Proof:
        """Proves that the name, or in NSEC3 the next closer name, does not exist."""
        if self.parameters:
            name = _next_closer(name, self.provable(encloser))
        return self.cover(name)

    def nxdomain(self, name: bytes, encloser: bytes) -> list[Proof]:
        """RFC 4035 section 3.1.3.2, RFC 5155 section 7.2.2."""
        proofs = [self.missing(name, encloser), self.no_wildcard(encloser)]
        if self.parameters:
            proofs.append(self._required_match(self.provable(encloser)))
        return proofs

    def expansion(self, name: bytes, wildcard: bytes, nodata: bool = False) -> list[Proof]:
        """RFC 4035 sections 3.1.3.3 and 3.1.3.4, RFC 5155 sections 7.2.5 and 7.2.6."""
        encloser = parent(wildcard)
        proofs = [self.missing(name, encloser)]
        if nodata:
            proofs += self.nodata(wildcard)
            if self.parameters:
                proofs.append(self._required_match(self.provable(encloser)))
        return proofs


def _next_closer(name: bytes, encloser: bytes) -> bytes:
    """The name one label longer than the encloser, at or above ``name``: RFC 5155 section 1.3."""
    while len(parent(name)) > len(encloser):
        name = parent(name)
    return name
