"""The NSEC or NSEC3 chain of a signed zone, as its file has it (RFC 4034, RFC 5155)."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from xdpkit._core._limits import ZONE_ITERATIONS_MAX
from xdpkit._core._rrset import RRset
from xdpkit.services.dns.zonefile.zone import (
    NSEC,
    NSEC3,
    NSEC3PARAM,
    SOA,
    Zone,
    find,
    name_text,
    parent,
    signatures,
)

PART = struct.Struct("<4H")
"""struct zone_part: bytes in a message, records, bytes of key, bytes of owner labels."""

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
    """An NSEC or NSEC3 RRset and its signatures."""

    owner: bytes
    key: bytes
    """The sort key of the chain: the name in canonical order, or its hash."""
    rrsets: tuple[RRset, ...]

    @property
    def opt_out(self) -> bool:
        """Whether unsigned delegations may hash between this NSEC3 and the next."""
        return self.rrsets[0].rdtype == NSEC3 and bool(self.rrsets[0].rdatas[0][1] & 1)

    def part(self, origin: bytes, key: bytes) -> bytes:
        """A struct zone_part, padded to 8 bytes; ``key`` is the sort key if C searches by it."""
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
class NsecChain:
    """The NSEC3 records of a zone; without parameters, the zone has NSEC."""

    parameters: Parameters | None
    hashed: dict[bytes, Proof]
    error_at: RRset
    """The RRset whose location errors about the whole zone report."""


def canonical_key(name: bytes, origin: bytes) -> bytes:
    """Sort key of a name in canonical order (RFC 4034 section 6.1); zone/denial.c has the same.

    The labels below the zone's name from the right, each followed by a zero, bytes 0 and 1 escaped.
    """
    labels = []
    at = 0
    while at < len(name) - len(origin):
        label = name[at + 1 : at + 1 + name[at]]
        labels.append(label.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") + b"\0")
        at += 1 + name[at]
    return b"".join(reversed(labels))


def split_parameters(rdata: bytes) -> tuple[Parameters, bytes]:
    """The parameters of an NSEC3 or NSEC3PARAM, and the RDATA after them."""
    end = 5 + rdata[4]
    return Parameters(int.from_bytes(rdata[2:4], "big"), rdata[5:end]), rdata[end:]


def take_nsec_chain(zone: Zone) -> NsecChain | None:
    """Takes the NSEC3 records out of a signed zone; None if it is not signed.

    Raises ZoneError for a chain that cannot prove any answer.
    """
    apex = zone.nodes[zone.origin]
    signed = signatures(apex, SOA)
    if not signed:
        return None
    hashed = _take_hashed(zone)
    for rrset in find(apex, NSEC3PARAM):
        for rdata in rrset.rdatas:
            # Algorithm 1 is SHA-1; flags other than 0: not in use yet (RFC 5155 section 4.1).
            if rdata[:2] != b"\1\0":
                continue
            parameters = split_parameters(rdata)[0]
            if parameters.iterations > ZONE_ITERATIONS_MAX:
                raise rrset.error(
                    f"{parameters.iterations} NSEC3 iterations, over the limit of"
                    f" {ZONE_ITERATIONS_MAX} (RFC 9276 section 3.1 requires 0); sign the zone again"
                )
            return NsecChain(parameters, hashed.get(parameters, {}), rrset)
    if not find(apex, NSEC):
        raise signed[0].error(
            f"{name_text(zone.origin)} is signed but has neither NSEC nor NSEC3PARAM; sign it again"
        )
    return NsecChain(None, {}, signed[0])


def _take_hashed(zone: Zone) -> dict[Parameters, dict[bytes, Proof]]:
    found: dict[Parameters, dict[bytes, Proof]] = {}
    for name in [name for name, rrsets in zone.nodes.items() if find(rrsets, NSEC3)]:
        rrsets = zone.nodes[name]
        nsec3, signed = find(rrsets, NSEC3)[0], signatures(rrsets, NSEC3)
        others = [rrset for rrset in rrsets if rrset is not nsec3 and rrset not in signed]
        if others:
            zone.nodes[name] = others
        else:
            del zone.nodes[name]
        for rdata in nsec3.rdatas:
            if rdata[0] != 1:
                continue
            parameters, _ = split_parameters(rdata)
            alone = RRset(NSEC3, 0, nsec3.ttl, nsec3.path, nsec3.line, [rdata])
            if not signed:
                raise nsec3.error(
                    f"no RRSIG for the NSEC3 of {name_text(name)}; sign the zone again"
                )
            key = _hash_in(name)
            if key is not None and parent(name) == zone.origin:
                found.setdefault(parameters, {})[key] = Proof(name, key, (alone, *signed))
    return found


def _hash_in(name: bytes) -> bytes | None:
    """The hash that a name's first label encodes in base32hex (RFC 5155 section 3)."""
    digits = b"0123456789abcdefghijklmnopqrstuv"
    if name[0] != 32 or any(byte not in digits for byte in name[1:33]):
        return None
    return int(name[1:33], 32).to_bytes(20, "big")
