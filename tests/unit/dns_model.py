"""A slow resolver of zones by the letter of RFC 1034 section 4.3.2, to hold the fast one against.

Written from the RFCs on dnspython's own zone objects and names; it shares nothing with xdpkit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import dns.name
import dns.rcode
import dns.rdataset
import dns.rdatatype as t
import dns.zone

Record = tuple[dns.name.Name, int, int, str]


@dataclass
class Reply:
    """What must be in a message, sections as sorted lists of (owner, type, TTL, RDATA text)."""

    rcode: int = dns.rcode.NOERROR
    aa: bool = True
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)


def records(
    owner: dns.name.Name, rdataset: dns.rdataset.Rdataset, ttl: int | None = None
) -> list[Record]:
    kept = rdataset.ttl if ttl is None else ttl
    return [(owner, int(rdataset.rdtype), kept, rdata.to_text().lower()) for rdata in rdataset]


class Model:
    def __init__(self, zones: dict[str, str]) -> None:
        self.zones = [
            dns.zone.from_text(text, origin=dns.name.from_text(name), relativize=False)
            for name, text in zones.items()
        ]

    def zone_for(self, name: dns.name.Name, above: bool = False) -> dns.zone.Zone | None:
        fit = [
            z
            for z in self.zones
            if name.is_subdomain(z.origin) and not (above and z.origin == name)
        ]
        return max(fit, key=lambda z: len(z.origin)) if fit else None

    def cut(self, zone: dns.zone.Zone, name: dns.name.Name) -> dns.name.Name | None:
        """The delegation highest in the zone that is at or above the name."""
        for depth in range(len(zone.origin) + 1, len(name) + 1):
            top = name.split(depth)[1]
            if zone.get_rdataset(top, t.NS):
                return top
        return None

    def exists(self, zone: dns.zone.Zone, name: dns.name.Name) -> bool:
        for owner in zone:
            if owner.is_subdomain(name):
                top = self.cut(zone, owner)
                if top is None or top == owner:
                    return True
        return False

    def referral(self, zone: dns.zone.Zone, cut: dns.name.Name, reply: Reply) -> None:
        servers = zone.get_rdataset(cut, t.NS)
        reply.authority += records(cut, servers)
        for target in {rdata.target for rdata in servers}:
            for kind in (t.A, t.AAAA):
                found = (
                    zone.get_rdataset(target, kind) if target.is_subdomain(zone.origin) else None
                )
                if found:
                    reply.additional += records(target, found)

    def denial(self, zone: dns.zone.Zone, reply: Reply) -> None:
        soa = zone.get_rdataset(zone.origin, t.SOA)
        reply.authority += records(zone.origin, soa, min(soa.ttl, soa[0].minimum))

    def respond(self, name: dns.name.Name, rdtype: int) -> Reply:
        reply = Reply()
        zone = self.zone_for(name)
        if zone is None:
            return Reply(dns.rcode.REFUSED, False)
        if rdtype == t.DS and name == zone.origin:
            above = self.zone_for(name, above=True)
            if above is not None:
                if self.cut(above, name) == name and above.get_rdataset(name, t.DS):
                    reply.answer += records(name, above.get_rdataset(name, t.DS))
                else:
                    self.denial(above, reply)
                return reply
        self.walk(zone, name, rdtype, reply)
        for section in (reply.answer, reply.authority, reply.additional):
            section.sort()
        return reply

    def walk(self, zone: dns.zone.Zone, name: dns.name.Name, rdtype: int, reply: Reply) -> None:
        seen = set()
        while True:
            cut = self.cut(zone, name)
            if cut is not None and not (cut == name and rdtype == t.DS and not reply.answer):
                reply.aa = bool(reply.answer)
                return self.referral(zone, cut, reply)
            if reply.answer and self.zone_for(name) is not zone:
                return None
            source = name
            if not self.exists(zone, name):
                while not self.exists(zone, source):
                    source = source.parent()
                source = dns.name.Name((b"*", *source.labels))
                if not self.exists(zone, source):
                    reply.rcode = dns.rcode.NXDOMAIN
                    return self.denial(zone, reply)
            if source in seen:
                return None
            seen.add(source)
            found = zone.get_rdataset(source, rdtype)
            alias = zone.get_rdataset(source, t.CNAME)
            if found:
                reply.answer += records(name, found)
                return None
            if not alias:
                return self.denial(zone, reply)
            reply.answer += records(name, alias)
            name = alias[0].target
            if not name.is_subdomain(zone.origin):
                return None
