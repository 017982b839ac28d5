"""The NSEC or NSEC3 chain of a signed zone, as its file says it (RFC 4034, RFC 5155)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from xdpkit.services.dns.zonefile.zone import (
    NSEC,
    NSEC3,
    NSEC3PARAM,
    SOA,
    RRset,
    Zone,
    find,
    parent,
    signatures,
    text,
)

# RFC 9276 section 3.1 wants none at all; validators treat zones above some bound as unsigned or
# bogus, and 50 is the highest that common ones (BIND 9.18 and later, Unbound) still take.
ITERATIONS_MAX = 50

PART = struct.Struct("<4H")
"""struct zone_part: bytes in a message, records, bytes of key and of the owner's own labels."""

FIXED = struct.Struct(">HHIH")
"""Type, class, TTL, RDLENGTH: RFC 1035 section 4.1.3."""


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
class Proof:
    """An NSEC or NSEC3 record set and its signatures."""

    owner: bytes
    key: bytes
    """What the chain is sorted by: the name in canonical order, or its hash."""
    rrsets: tuple[RRset, ...]

    @property
    def opt_out(self) -> bool:
        """Whether unsigned delegations may lie between this NSEC3's hash and the next."""
        return self.rrsets[0].rdtype == NSEC3 and bool(self.rrsets[0].rdatas[0][1] & 1)

    def part(self, origin: bytes, key: bytes) -> bytes:
        """A struct zone_part, a multiple of 8 bytes; ``key`` is what C searches by, if it does."""
        labels = self.owner[: len(self.owner) - len(origin)]
        records = [
            FIXED.pack(rrset.rdtype, 1, rrset.ttl, len(rdata)) + rdata
            for rrset in self.rrsets
            for rdata in rrset.rdatas
        ]
        size = len(labels) + sum(2 + len(record) for record in records)
        data = PART.pack(size, len(records), len(key), len(labels)) + key + labels
        data += b"".join(records)
        return data + bytes(-len(data) % 8)


@dataclass(frozen=True, slots=True)
class Chain:
    """What was found of NSEC3 in a zone: nothing but the parameters' absence if it has NSEC."""

    parameters: Parameters | None
    hashed: dict[bytes, Proof]
    place: RRset
    """What errors of the whole zone point at."""


def canonical_key(name: bytes, origin: bytes) -> bytes:
    """Sorts names of a zone canonically (RFC 4034 section 6.1); zone/denial.c has it too.

    The labels below the zone's name from the right, a zero behind each, bytes 0 and 1 escaped.
    """
    labels = []
    at = 0
    while at < len(name) - len(origin):
        label = name[at + 1 : at + 1 + name[at]]
        labels.append(label.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") + b"\0")
        at += 1 + name[at]
    return b"".join(reversed(labels))


def parameters_of(rdata: bytes) -> tuple[Parameters, bytes]:
    """Of an NSEC3 or NSEC3PARAM, and what follows them."""
    end = 5 + rdata[4]
    return Parameters(int.from_bytes(rdata[2:4], "big"), rdata[5:end]), rdata[end:]


def chain_of(zone: Zone) -> Chain | None:
    """Takes the NSEC3 records out of a signed zone; None if it is not signed.

    Raises ZoneError for what no answer could be proved with.
    """
    apex = zone.nodes[zone.origin]
    signed = signatures(apex, SOA)
    if not signed:
        return None
    hashed = _take_hashed(zone)
    for rrset in find(apex, NSEC3PARAM):
        for rdata in rrset.rdatas:
            # Algorithm 1 is SHA-1, and other flags than 0 say "not yet": RFC 5155 section 4.1.
            if rdata[:2] != b"\1\0":
                continue
            parameters = parameters_of(rdata)[0]
            if parameters.iterations > ITERATIONS_MAX:
                raise rrset.error(
                    f"{parameters.iterations} NSEC3 iterations, {ITERATIONS_MAX} are the most"
                    " (RFC 9276 section 3.1 wants 0); sign the zone again"
                )
            return Chain(parameters, hashed.get(parameters, {}), rrset)
    if not find(apex, NSEC):
        raise signed[0].error(
            f"{text(zone.origin)} is signed and has neither NSEC nor NSEC3PARAM; sign it again"
        )
    return Chain(None, {}, signed[0])


def _take_hashed(zone: Zone) -> dict[Parameters, dict[bytes, Proof]]:
    found: dict[Parameters, dict[bytes, Proof]] = {}
    for name in [name for name, rrsets in zone.nodes.items() if find(rrsets, NSEC3)]:
        rrsets = zone.nodes[name]
        nsec3, signed = find(rrsets, NSEC3)[0], signatures(rrsets, NSEC3)
        kept = [rrset for rrset in rrsets if rrset is not nsec3 and rrset not in signed]
        if kept:
            zone.nodes[name] = kept
        else:
            del zone.nodes[name]
        for rdata in nsec3.rdatas:
            if rdata[0] != 1:
                continue
            parameters, _ = parameters_of(rdata)
            alone = RRset(NSEC3, 0, nsec3.ttl, nsec3.path, nsec3.line, [rdata])
            if not signed:
                raise nsec3.error(f"no RRSIG for the NSEC3 of {text(name)}; sign the zone again")
            key = _unhashed(name)
            if key is not None and parent(name) == zone.origin:
                found.setdefault(parameters, {})[key] = Proof(name, key, (alone, *signed))
    return found


def _unhashed(name: bytes) -> bytes | None:
    """The hash that a name's first label is the base32hex of (RFC 5155 section 3)."""
    digits = b"0123456789abcdefghijklmnopqrstuv"
    if name[0] != 32 or any(byte not in digits for byte in name[1:33]):
        return None
    return int(name[1:33], 32).to_bytes(20, "big")
