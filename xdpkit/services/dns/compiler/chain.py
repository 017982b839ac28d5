"""Which NSEC or NSEC3 chain a signed zone has (RFC 4034, RFC 5155)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.zonefile.zone import (
    NSEC,
    NSEC3PARAM,
    SOA,
    Zone,
    find,
    name_text,
    signatures,
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a zone's names are hashed: RFC 5155 section 4."""

    iterations: int
    salt: bytes

    def hash(self, name: bytes) -> bytes:
        """RFC 5155 section 5."""
        digest = hashlib.sha1(name + self.salt).digest()
        for _ in range(self.iterations):
            digest = hashlib.sha1(digest + self.salt).digest()
        return digest


@dataclass(frozen=True, slots=True)
class ChainKind:
    """The chain of a signed zone; without parameters, it is of NSEC."""

    parameters: Parameters | None
    error_at: RRset
    """The RRset whose location errors about the whole zone report."""


def chain_of(zone: Zone) -> ChainKind | None:
    """The chain that denials are proved by; None if the zone is not signed."""
    apex = zone.nodes[zone.origin]
    signed = signatures(apex, SOA)
    if not signed:
        return None
    for rrset in find(apex, NSEC3PARAM):
        for rdata in rrset.rdatas:
            # Algorithm 1 is SHA-1; flags other than 0: not in use yet (RFC 5155 section 4.1).
            if rdata[:2] == b"\1\0":
                salt = rdata[5 : 5 + rdata[4]]
                return ChainKind(Parameters(int.from_bytes(rdata[2:4], "big"), salt), rrset)
    return ChainKind(None, signed[0])


def check_chain(zone: Zone, chain: ChainKind, most: int) -> None:
    """Raises ZoneError for a chain that cannot prove any answer."""
    if chain.parameters is None:
        if not find(zone.nodes[zone.origin], NSEC):
            raise chain.error_at.error(
                f"{name_text(zone.origin)} is signed but has neither NSEC nor NSEC3PARAM; sign it"
                " again"
            )
    elif chain.parameters.iterations > most:
        raise chain.error_at.error(
            f"{chain.parameters.iterations} NSEC3 iterations, over the limit of"
            f" {most} (RFC 9276 section 3.1 requires 0); sign the zone again, or raise"
            " max_nsec3_iterations of [dns]"
        )
