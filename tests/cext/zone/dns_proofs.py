"""Checks denials as a validator does, signatures aside: RFC 4035 section 5.4, RFC 5155 section 8.

Written from the RFCs on top of dnspython's names; it shares no code with xdpkit.
"""

from __future__ import annotations

import dns.dnssec
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype as t

Name = dns.name.Name


def has_type(rdata: dns.rdata.Rdata, rdtype: int) -> bool:
    window, low = divmod(rdtype, 256)
    for number, bitmap in rdata.windows:
        if number == window and low // 8 < len(bitmap):
            return bool(bitmap[low // 8] & 0x80 >> low % 8)
    return False


class Proofs:
    """The NSEC or NSEC3 records in a reply's authority section."""

    def __init__(self, message: dns.message.Message, origin: Name) -> None:
        self.origin = origin
        self.nsec, self.nsec3 = dict[Name, dns.rdata.Rdata](), dict[str, dns.rdata.Rdata]()
        for rrset in message.authority:
            if rrset.rdtype == t.NSEC:
                self.nsec[rrset.name] = rrset[0]
            if rrset.rdtype == t.NSEC3:
                self.nsec3[rrset.name.labels[0].decode().lower()] = rrset[0]
        signed = {(r.name, r.covers) for r in message.authority if r.rdtype == t.RRSIG}
        for rrset in message.authority:
            if rrset.rdtype in (t.NSEC, t.NSEC3):
                assert (rrset.name, rrset.rdtype) in signed

    def match(self, name: Name) -> dns.rdata.Rdata | None:
        if self.nsec:
            return self.nsec.get(name)
        return self.nsec3.get(self.hashed(name))

    def hashed(self, name: Name) -> str:
        rdata = next(iter(self.nsec3.values()))
        return dns.dnssec.nsec3_hash(name, rdata.salt.hex(), rdata.iterations, 1).lower()

    def covered(self, name: Name) -> bool:
        """Whether the name cannot exist: it sorts between two names of the chain."""
        return self.cover(name) is not None

    def cover(self, name: Name) -> dns.rdata.Rdata | None:
        for owner, rdata in self.nsec.items():
            if owner < name and (name < rdata.next or rdata.next == self.origin):
                return rdata
        for start, rdata in self.nsec3.items():
            digest, end = self.hashed(name), dns.rdtypes.ANY.NSEC3.NSEC3.next_name(rdata)
            after = end.labels[0].decode().lower()
            if start < digest < after or (after <= start and (digest > start or digest < after)):
                return rdata
        return None

    def encloser(self, name: Name) -> Name:
        """The proved closest encloser; AssertionError if there is none."""
        if self.nsec:
            owner, rdata = next((o, r) for o, r in self.nsec.items() if self.cover(name) is r)
            return max(
                (common(name, owner), common(name, rdata.next)), key=lambda found: len(found)
            )
        while True:
            next_closer, name = name, name.parent()
            assert name.is_subdomain(self.origin), "no closest encloser"
            if self.match(name) is not None:
                assert self.covered(next_closer), f"{next_closer} is not covered"
                return name

    def missing(self, name: Name) -> None:
        """RFC 4035 section 5.4, RFC 5155 section 8.4: NXDOMAIN."""
        assert self.nsec3 or self.covered(name)
        encloser = self.encloser(name)
        # An opt-out span proves no absence: the answer is insecure, wildcard or not.
        if not self.opted_out(name, encloser):
            assert self.covered(star(encloser)), "a wildcard is not excluded"

    def opted_out(self, name: Name, encloser: Name) -> bool:
        """Whether an unsigned delegation may exist at the next closer name."""
        while name.parent() != encloser:
            name = name.parent()
        cover = self.cover(name) if self.nsec3 else None
        return cover is not None and bool(cover.flags & 1)

    def no_type(self, name: Name, rdtype: int) -> None:
        """RFC 5155 sections 8.5 to 8.7: NODATA of the name itself, a wildcard or an opt-out."""
        match = self.match(name)
        if match is not None:
            return self._lacks(match, rdtype)
        if self.nsec and self.is_empty(name):
            return None
        encloser = self.encloser(name)
        if self.opted_out(name, encloser):
            return None
        wildcard = self.match(star(encloser))
        if wildcard is not None:
            return self._lacks(wildcard, rdtype)
        assert self.nsec and self.is_empty(star(encloser)), "nothing proves it"
        return None

    def is_empty(self, name: Name) -> bool:
        """Whether an NSEC shows names below this one but none at it."""
        return any(o < name and r.next.is_subdomain(name) for o, r in self.nsec.items())

    def expanded(self, name: Name) -> None:
        """RFC 4035 section 5.3.4, RFC 5155 section 8.8: no closer match than a wildcard."""
        if self.nsec:
            assert self.covered(name)
            return
        while not self.covered(name):
            name = name.parent()
            assert name != self.origin, "no next closer name is covered"

    @staticmethod
    def _lacks(rdata: dns.rdata.Rdata, rdtype: int) -> None:
        assert not has_type(rdata, rdtype) and not has_type(rdata, t.CNAME)


def star(name: Name) -> Name:
    return dns.name.Name((b"*", *name.labels))


def common(one: Name, other: Name) -> Name:
    """The deepest name that both are at or below."""
    while not other.is_subdomain(one):
        one = one.parent()
    return one
