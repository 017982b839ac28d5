"""A slow reference implementation of RFC 1034 section 4.3.2, to compare the fast one with.

Written from the RFCs on top of dnspython's zones and names; it shares no code with xdpkit.
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
    """The expected message, its sections as sorted lists of (owner, type, TTL, RDATA text)."""

    rcode: int = dns.rcode.NOERROR
    aa: bool = True
    answer: list[Record] = field(default_factory=list)
    authority: list[Record] = field(default_factory=list)
    additional: list[Record] = field(default_factory=list)
    endless: bool = False
    """The aliases form a loop, or are more than a server follows."""


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
        """The topmost delegation in the zone at or above the name."""
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
            reply.additional += self.glue(zone, target)

    def denial(self, zone: dns.zone.Zone, reply: Reply) -> None:
        soa = zone.get_rdataset(zone.origin, t.SOA)
        reply.authority += records(zone.origin, soa, min(soa.ttl, soa[0].minimum))

    def addresses(self, zone: dns.zone.Zone, rdataset: dns.rdataset.Rdataset, reply: Reply) -> None:
        """RFC 1034 section 4.3.2 step 6, within the zone."""
        hosts = {
            getattr(rdata, "exchange", None) or rdata.target
            for rdata in rdataset
            if rdata.rdtype in (t.NS, t.MX, t.SRV)
        }
        for host in hosts:
            reply.additional += self.glue(zone, host)

    def glue(self, zone: dns.zone.Zone, host: dns.name.Name) -> list[Record]:
        """The addresses of a host in its zone, also below a cut, or those of a wildcard."""
        if not host.is_subdomain(zone.origin):
            return []
        source = host
        if self.cut(zone, host) is None:
            while not self.exists(zone, source):
                source = source.parent()
            if source != host:
                source = dns.name.Name((b"*", *source.labels))
        found = [zone.get_rdataset(source, kind) for kind in (t.A, t.AAAA)]
        return [record for rdataset in found if rdataset for record in records(host, rdataset)]

    def respond(self, name: dns.name.Name, rdtype: int) -> Reply:
        reply = Reply()
        if self.zone_for(name) is None:
            return Reply(dns.rcode.REFUSED, False)
        self.walk(name, rdtype, reply)
        for section in (reply.answer, reply.authority, reply.additional):
            section.sort()
        return reply

    def walk(self, name: dns.name.Name, rdtype: int, reply: Reply) -> None:
        seen: set[tuple[dns.name.Name, dns.name.Name]] = set()
        while len(seen) < 16:
            zone = self.zone_for(name)
            if zone is None:
                return
            above = self.zone_for(name, above=True) if rdtype == t.DS else None
            if above is not None and name == zone.origin:
                # As with all peers, it answers as for any other name, even if it lacks this one.
                zone = above
            cut = self.cut(zone, name)
            if cut is not None and not (cut == name and rdtype == t.DS):
                reply.aa = bool(reply.answer)
                self.referral(zone, cut, reply)
                return
            source = name
            while not self.exists(zone, source):
                source = source.parent()
            dname = zone.get_rdataset(source, t.DNAME)
            if dname and source != name:
                # A second visit mostly means a loop, or ever longer names.
                if (zone.origin, source) in seen:
                    break
                seen.add((zone.origin, source))
                reply.answer += records(source, dname)
                try:
                    target = dns.name.Name(name.labels[: -len(source)] + dname[0].target.labels)
                except dns.name.NameTooLong:
                    reply.rcode = dns.rcode.YXDOMAIN
                    return
                reply.answer.append((name, int(t.CNAME), dname.ttl, target.to_text().lower()))
                if rdtype == t.CNAME:
                    return
                name = target
                continue
            if source != name:
                source = dns.name.Name((b"*", *source.labels))
                if not self.exists(zone, source):
                    reply.rcode = dns.rcode.NXDOMAIN
                    self.denial(zone, reply)
                    return
            found = zone.get_rdataset(source, rdtype)
            alias = zone.get_rdataset(source, t.CNAME)
            if found:
                reply.answer += records(name, found)
                self.addresses(zone, found, reply)
                return
            if not alias:
                self.denial(zone, reply)
                return
            if (zone.origin, name) in seen:
                break
            seen.add((zone.origin, name))
            reply.answer += records(name, alias)
            name = alias[0].target
        reply.endless = True
