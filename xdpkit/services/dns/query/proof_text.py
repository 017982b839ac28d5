"""Describes what the NSEC and NSEC3 records of a reply prove."""

from __future__ import annotations

from typing import Any

import dns.message
import dns.name
import dns.rdatatype

from xdpkit.services.dns.compiler.chain import Parameters


def proof_lines(message: dns.message.Message, qname: dns.name.Name) -> tuple[str, ...]:
    """A line for each such record: its type and owner, and what it proves about which names."""
    names = {qname}
    for rrset in message.answer:
        if rrset.rdtype == dns.rdatatype.CNAME:
            names |= {rrset.name, rrset[0].target}
    names |= {rrset.name for rrset in message.authority if rrset.rdtype == dns.rdatatype.NS}
    related = {above for name in names for above in _related_names(name)}
    lines = []
    for rrset in message.authority:
        for rdata in rrset:
            if rdata.rdtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
                statements = _statements(rrset.name, rdata, related)
                kind = dns.rdatatype.to_text(rdata.rdtype)
                text = ", ".join(statements) or "nothing about these names"
                lines.append(f"{kind} {rrset.name}: {text}")
    return tuple(lines)


def _related_names(name: dns.name.Name) -> list[dns.name.Name]:
    """The name, its ancestors, and the wildcard under each of those."""
    found = []
    while True:
        found.append(name)
        if name == dns.name.root:
            return found
        name = name.parent()
        if len(b"".join(name.labels)) + len(name) + 2 <= 255:
            found.append(dns.name.Name((b"*", *name.labels)))


def _statements(owner: dns.name.Name, rdata: Any, names: set[dns.name.Name]) -> list[str]:
    """Which of the names exist and which do not."""
    start: Any = owner
    end = rdata.next
    positions: dict[dns.name.Name, Any]
    if rdata.rdtype == dns.rdatatype.NSEC:
        zone = _common_ancestor(owner, end)
        positions = {name: name for name in names if name.is_subdomain(zone)}
    else:
        hashing = Parameters(rdata.iterations, rdata.salt)
        start = int(owner.labels[0], 32).to_bytes(20, "big")
        zone = owner.parent()
        positions = {
            name: hashing.hash(name.to_digestable()) for name in names if name.is_subdomain(zone)
        }
    # The last record of a chain leads back to the first.
    missing = [
        name
        for name, position in positions.items()
        if (start < position < end if start < end else position > start or position < end)
    ]
    return [f"{name} exists" for name, position in positions.items() if position == start] + [
        f"{name} does not exist" for name in sorted(missing)
    ]


def _common_ancestor(one: dns.name.Name, other: dns.name.Name) -> dns.name.Name:
    """The deepest name that both are at or below: at or below their zone's apex."""
    while not other.is_subdomain(one):
        one = one.parent()
    return one
