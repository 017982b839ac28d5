"""Warnings about a signed zone: signatures that do not hold now, keys, and NSEC3 iterations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dns.rdatatype

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.zonefile.zone import (
    DNSKEY,
    NSEC3PARAM,
    RRSIG,
    SOA,
    Zone,
    find,
    name_text,
    signatures,
)

# Signatures that end within this time are told: by then, whatever signs the zone has failed to.
SOON_SECONDS = 7 * 86400

EXPIRED, EARLY, SOON = "expired", "early", "soon"

_FIXES = {
    EXPIRED: "validating resolvers refuse them: sign the zone again",
    EARLY: "validating resolvers refuse them: see the signer's clock",
    SOON: "sign the zone again before that",
}


def signature_warnings(zone: Zone, now: int) -> Iterator[tuple[RRset, str]]:
    """Warnings about signatures, at a time in seconds since the epoch: one for each kind."""
    apex = zone.nodes[zone.origin]
    yield from _times(zone, now)
    for keys in find(apex, DNSKEY):
        if not signatures(apex, DNSKEY):
            yield keys, "a DNSKEY without a signature: sign the zone, or remove its keys"
    signed = signatures(apex, SOA)
    if signed and not find(apex, DNSKEY):
        yield signed[0], "signatures without a DNSKEY: no resolver can check them; sign again"
    for parameters in find(apex, NSEC3PARAM):
        iterations = max(int.from_bytes(rdata[2:4], "big") for rdata in parameters.rdatas)
        if iterations:
            yield (
                parameters,
                f"{iterations} NSEC3 iterations: RFC 9276 section 3.1 requires 0, and resolvers may"
                " take the zone for unsigned; sign again without",
            )


_TEXTS = {
    EXPIRED: ("expired at", "have expired, the first at"),
    EARLY: ("is not valid before", "are not valid yet, the first not before"),
    SOON: ("expires at", "expire soon, the first at"),
}


class _Worst:
    """How many RRsets have signatures of one kind, and the one with the earliest time."""

    def __init__(self) -> None:
        self.count = 0
        self.left = 0
        self.owner = b""
        self.rrset: RRset | None = None

    def add(self, owner: bytes, rrset: RRset, left: int) -> None:
        self.count += 1
        if self.rrset is None or left < self.left:
            self.owner, self.rrset, self.left = owner, rrset, left


def _times(zone: Zone, now: int) -> Iterator[tuple[RRset, str]]:
    worst = {kind: _Worst() for kind in _FIXES}
    for owner, rrsets in zone.nodes.items():
        for rrset in rrsets:
            if rrset.rdtype == RRSIG:
                kind, left = _state(rrset, now)
                if kind:
                    worst[kind].add(owner, rrset, left)
    for kind, found in worst.items():
        if found.rrset is not None:
            yield found.rrset, f"{_told(kind, found, found.rrset, now)}: {_FIXES[kind]}"


def _told(kind: str, found: _Worst, rrset: RRset, now: int) -> str:
    when = datetime.fromtimestamp(now + found.left, UTC).strftime("%Y-%m-%d %H:%M UTC")
    covered = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrset.covers))
    which = f"that of {name_text(found.owner)} {covered}"
    one, many = _TEXTS[kind]
    if found.count == 1:
        return f"a signature {one} {when}, {which}"
    return f"{found.count} signatures {many} {when}, {which}"


def _state(signed: RRset, now: int) -> tuple[str, int]:
    """What is wrong with the signatures of an RRset, one of which has to hold, and from when on.

    The seconds are relative to now. During a change of keys there may be old ones beside the new.
    """
    times = [_times_of(rdata, now) for rdata in signed.rdatas]
    holding = [(end, begin) for begin, end in times if begin <= 0 <= end]
    if not holding:
        ends = [end for begin, end in times if end < 0]
        return (EXPIRED, max(ends)) if ends else (EARLY, min(begin for begin, _ in times))
    end, begin = max(holding)
    # Signatures of a few days are renewed all the time.
    return (SOON, end) if end < min(SOON_SECONDS, (end - begin) // 2) else ("", 0)


def _times_of(rdata: bytes, now: int) -> tuple[int, int]:
    """Inception and expiration, in seconds from now: RFC 4034 section 3.1.5, RFC 1982."""
    end, begin = int.from_bytes(rdata[8:12], "big"), int.from_bytes(rdata[12:16], "big")
    return _apart(begin, now), _apart(end, now)


def _apart(stamp: int, now: int) -> int:
    return ((stamp - now + (1 << 31)) % (1 << 32)) - (1 << 31)
