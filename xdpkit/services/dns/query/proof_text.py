"""Says in words what the NSEC and NSEC3 records of a reply prove."""

from __future__ import annotations

from typing import Any

import dns.message
import dns.name
import dns.rdatatype

from xdpkit.services.dns.compiler.chain import Parameters


def proof_lines(message: dns.message.Message, qname: dns.name.Name) -> tuple[str, ...]:
    """A line for each such record: its owner, the next one, the names it speaks of."""
    names = {qname}
    for rrset in message.answer:
        if rrset.rdtype == dns.rdatatype.CNAME:
            names |= {rrset.name, rrset[0].target}
    names |= {rrset.name for rrset in message.authority if rrset.rdtype == dns.rdatatype.NS}
    around = {above for name in names for above in _around(name)}
    lines = []
    for rrset in message.authority:
        for rdata in rrset:
            if rdata.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
                said = _said(rrset.name, rdata, around)
                kind = dns.rdatatype.to_text(rdata.rdtype)
                lines.append(f"{kind} {rrset.name}: {', '.join(said) or 'nothing asked for'}")
    return tuple(lines)


def _around(name: dns.name.Name) -> list[dns.name.Name]:
    """The name, those above it, and the wildcards beside each."""
    found = []
    while True:
        found.append(name)
        if name == dns.name.root:
            return found
        name = name.parent()
        if len(b"".join(name.labels)) + len(name) + 2 <= 255:
            found.append(dns.name.Name((b"*", *name.labels)))


def _said(owner: dns.name.Name, rdata: Any, names: set[dns.name.Name]) -> list[str]:
    """Which of the names are there and which are not."""
    start: Any = owner
    end = rdata.next
    places: dict[dns.name.Name, Any]
    if rdata.rdtype == dns.rdatatype.NSEC:
        zone = _above_both(owner, end)
        places = {name: name for name in names if name.is_subdomain(zone)}
    else:
        hashing = Parameters(rdata.iterations, rdata.salt)
        start = int(owner.labels[0], 32).to_bytes(20, "big")
        zone = owner.parent()
        places = {
            name: hashing.hash(name.to_digestable()) for name in names if name.is_subdomain(zone)
        }
    # The last record of a chain leads back to the first.
    missing = [
        name
        for name, place in places.items()
        if (start < place < end if start < end else place > start or place < end)
    ]
    return [f"{name} is there" for name, place in places.items() if place == start] + [
        f"{name} is not there" for name in sorted(missing)
    ]


def _above_both(one: dns.name.Name, other: dns.name.Name) -> dns.name.Name:
    """The lowest name that both are at or below: not above their zone's."""
    while not other.is_subdomain(one):
        one = one.parent()
    return one
