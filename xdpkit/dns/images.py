"""Reply images: the sections behind the question, finished when the zone is compiled.

An image is made for one question name. Where a longer question may use it too (wildcards, denials,
referrals), the positions of its compression pointers go along: see ``struct zone_image``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from xdpkit.dns.tree import Match, Place, Tree, find
from xdpkit.dns.zone import CNAME, NS, RRset, parent

IMAGE = struct.Struct("<2B6sHHBBxx")
"""struct zone_image: header byte 2, rcode, counts, length, fixups, base, kind."""

QR, AA = 0x80, 0x04
NOERROR, NXDOMAIN = 0, 3

QUESTION = 12
"""Where the question's name begins: behind the header, RFC 1035 section 4.1."""

NAME_MAX = 255

POINTER_END = 0x4000 - NAME_MAX
"""No name from here on is pointed at: a pointer has 14 bits, and a longer question moves it."""

# RDATA that may hold compressed names (RFC 3597 section 4: those of RFC 1035, no others): bytes in
# front of the first name, number of names.
COMPRESSED = {2: (0, 1), 3: (0, 1), 4: (0, 1), 5: (0, 1), 6: (0, 2), 7: (0, 1), 8: (0, 1)}
COMPRESSED |= {9: (0, 1), 12: (0, 1), 14: (0, 2), 15: (2, 1)}

FIXED = struct.Struct(">HHIH")
"""Type, class, TTL, RDLENGTH: RFC 1035 section 4.1.3."""


class ImageTooLarge(ValueError):
    """A DNS message of 64 KiB cannot hold the reply; the argument is its size without question."""


class Kind(IntEnum):
    """enum zone_kind."""

    NOERROR = 0
    NODATA = 1
    NXDOMAIN = 2
    REFERRAL = 3


class Body:
    """The bytes behind a question for ``qname``, record by record.

    ``shared``: the question may be for another name below ``qname``. At a wildcard it may too, and
    there the owner of the answer is the question and not the wildcard.
    """

    def __init__(self, qname: bytes, shared: bool = False) -> None:
        self.qname = qname
        self.wildcard = qname.startswith(b"\1*")
        self.shared = shared
        self.moves = shared or self.wildcard
        self.bytes = bytearray()
        self.counts = [0, 0, 0]
        self.fixups: list[int] = []
        self._suffixes: dict[bytes, int] | None = None

    def _table(self) -> dict[bytes, int]:
        """Suffixes written so far and where; begun at the first name that needs it."""
        if self._suffixes is None:
            self._suffixes = {}
            name, at = self.qname, QUESTION
            while len(name) > 1:
                if not (self.wildcard and name is self.qname):
                    self._suffixes[name] = at
                at += name[0] + 1
                name = parent(name)
        return self._suffixes

    def _name(self, name: bytes) -> None:
        """Appends a name, the longest suffix that was written before as a pointer."""
        table, out = self._table(), self.bytes
        while len(name) > 1:
            key = name.lower()
            known = table.get(key)
            if known is not None:
                if self.moves:
                    self.fixups.append(len(out))
                out += (0xC000 | known).to_bytes(2, "big")
                return
            at = QUESTION + len(self.qname) + 4 + len(out)
            if at < POINTER_END:
                table[key] = at
            out += name[: name[0] + 1]
            name = parent(name)
        out += b"\0"

    def add(self, section: int, owner: bytes | None, rrset: RRset, ttl: int | None = None) -> None:
        """Appends an RRset to section 0 (answer), 1 (authority) or 2 (additional).

        The owner None is the question's name, as it was asked. ``ttl`` replaces the RRset's.
        """
        out = self.bytes
        template = COMPRESSED.get(rrset.rdtype)
        for rdata in rrset.rdatas:
            if owner is None:
                out += b"\xc0\x0c"
            else:
                self._name(owner)
            out += FIXED.pack(rrset.rdtype, 1, rrset.ttl if ttl is None else ttl, len(rdata))
            if template is None:
                out += rdata
                continue
            start = len(out)
            self._rdata(rdata, *template)
            out[start - 2 : start] = (len(out) - start).to_bytes(2, "big")
        self.counts[section] += len(rrset.rdatas)

    def _rdata(self, rdata: bytes, skip: int, names: int) -> None:
        self.bytes += rdata[:skip]
        at = skip
        for _ in range(names):
            end = at
            while rdata[end]:
                end += rdata[end] + 1
            self._name(rdata[at : end + 1])
            at = end + 1
        self.bytes += rdata[at:]

    def image(self, kind: Kind, rcode: int = NOERROR, authoritative: bool = True) -> bytes:
        """The image's bytes, a multiple of 8; raises ImageTooLarge."""
        length = len(self.bytes)
        if QUESTION + NAME_MAX + 4 + 11 + length > 65535:
            raise ImageTooLarge(length)
        head = IMAGE.pack(
            QR | AA if authoritative else QR,
            rcode,
            struct.pack(">3H", *self.counts),
            length,
            len(self.fixups),
            len(self.qname),
            kind,
        )
        data = head + self.bytes + bytes(length % 2)
        data += struct.pack(f"<{len(self.fixups)}H", *self.fixups)
        return data + bytes(-len(data) % 8)


def _denial(body: Body, tree: Tree) -> None:
    """The SOA that says how long a denial holds, RFC 2308 section 3."""
    body.add(1, tree.origin, tree.zone.soa, tree.zone.negative_ttl)


def _delegation(body: Body, tree: Tree, cut: bytes) -> None:
    """The NS records of a cut and the addresses of those servers that are in the zone."""
    servers = find(tree.nodes[cut], NS)[0]
    body.add(1, cut, servers)
    for server in dict.fromkeys(rdata.lower() for rdata in servers.rdatas):
        for rrset in tree.addresses(server):
            body.add(2, server, rrset)


def nodata(tree: Tree, qname: bytes, shared: bool = True) -> bytes:
    """The name exists, the type does not."""
    body = Body(qname, shared)
    _denial(body, tree)
    return body.image(Kind.NODATA)


def nxdomain(tree: Tree) -> bytes:
    """The name does not exist; made for the zone's own name, used for all below it."""
    body = Body(tree.origin, shared=True)
    _denial(body, tree)
    return body.image(Kind.NXDOMAIN, NXDOMAIN)


def referral(tree: Tree, cut: bytes) -> bytes:
    """Ask there: for the cut and for every name below it."""
    body = Body(cut, shared=True)
    _delegation(body, tree, cut)
    return body.image(Kind.REFERRAL, authoritative=False)


def positive(name: bytes, rrsets: list[RRset]) -> bytes:
    """The records of one type at an owner."""
    body = Body(name)
    for rrset in rrsets:
        body.add(0, None, rrset)
    return body.image(Kind.NOERROR)


def _alias_end(body: Body, tree: Tree, place: Place) -> bytes:
    """The end of a chain whose target has not the type that was asked for."""
    if place.match is Match.CUT:
        # AA is about the first owner name, RFC 1035 section 4.1.1.
        _delegation(body, tree, place.node)
        return body.image(Kind.NOERROR)
    if place.match is Match.OUTSIDE:
        return body.image(Kind.NOERROR)
    _denial(body, tree)
    # RFC 6604 section 3: the rcode is that of the last name.
    missing = place.match is Match.MISSING
    return body.image(Kind.NXDOMAIN if missing else Kind.NODATA, NXDOMAIN if missing else NOERROR)


def alias(tree: Tree, name: bytes) -> tuple[dict[int, bytes], bytes]:
    """The images of a name with a CNAME: by type, and for every other type."""
    chain = tree.chain(name)

    def begin() -> Body:
        body = Body(name)
        for index, (owner, rrset) in enumerate(chain.links):
            body.add(0, owner if index else None, rrset)
        return body

    if chain.place is None:
        return {}, begin().image(Kind.NOERROR)
    images = {}
    if chain.place.match in (Match.EXACT, Match.WILDCARD):
        records = tree.nodes[chain.place.node]
        for rdtype in {rrset.rdtype for rrset in records}:
            body = begin()
            for rrset in find(records, rdtype):
                body.add(0, chain.target, rrset)
            images[rdtype] = body.image(Kind.NOERROR)
    return images, _alias_end(begin(), tree, chain.place)


def of_node(tree: Tree, name: bytes) -> Iterator[tuple[int | None, bytes]]:
    """(type, image) of all that a question for an authoritative name can get.

    The type None is "every other"; where it does not come, the zone's NODATA image serves.
    """
    rrsets = tree.nodes[name]
    images, other = dict[int, bytes](), None
    if find(rrsets, CNAME):
        images, other = alias(tree, name)
    for rdtype in dict.fromkeys(rrset.rdtype for rrset in rrsets):
        images[rdtype] = positive(name, find(rrsets, rdtype))
    yield from sorted(images.items())
    if other is not None:
        yield None, other
