"""Reply images: the answer for each name and type, finished when the zone is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xdpkit._core._rrset import RRset
from xdpkit.services.dns.compiler.body import NOERROR, NXDOMAIN, Body, Image, Kind
from xdpkit.services.dns.compiler.tree import Tree
from xdpkit.services.dns.zonefile.zone import (
    DS,
    HTTPS,
    MX,
    NS,
    RRSIG,
    SOA,
    SRV,
    SVCB,
    find,
    host_at,
    is_below,
)

TARGET = {NS: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}
"""Types whose targets' addresses are added, and the offset of the target in the RDATA: RFC 1035
sections 3.3.9 and 3.3.11, RFC 2782, RFC 9460 section 4.1."""


def _image_pair(tree: Tree, make: Callable[[bool], bytes]) -> Image:
    """An image without signatures and, in a signed zone, one with them."""
    return Image(make(False), make(True) if tree.denial else None)


def _add_soa(body: Body, tree: Tree) -> None:
    """Adds the SOA that says how long a denial may be cached, RFC 2308 section 3."""
    apex = tree.nodes[tree.origin]
    body.add_type(1, tree.origin, apex, SOA, tree.zone.negative_ttl)


def _add_addresses(body: Body, tree: Tree, hosts: list[bytes]) -> None:
    """Adds addresses, signed ones with their signatures; glue has none."""
    for host in dict.fromkeys(host.lower() for host in hosts):
        for rrset in tree.addresses(host):
            if body.do or rrset.rdtype != RRSIG:
                body.add(2, host, rrset)


def _add_additional(body: Body, tree: Tree, rrsets: list[RRset], rdtype: int) -> None:
    """Adds the addresses of the hosts in an answer, RFC 1034 section 4.3.2 step 6."""
    if rdtype in TARGET:
        hosts = [
            host_at(rdata, TARGET[rdtype])
            for rrset in find(rrsets, rdtype)
            for rdata in rrset.rdatas
        ]
        body.begin_optional()
        _add_addresses(body, tree, hosts)


def _add_delegation(body: Body, tree: Tree, cut: bytes) -> None:
    """Adds the NS records of a cut, the proof of whether it is signed, and server addresses.

    Addresses below the cut are required, the others are optional: RFC 9471 section 3.
    """
    rrsets = tree.nodes[cut]
    body.add(1, cut, find(rrsets, NS)[0])
    if body.do and tree.denial:
        body.add_type(1, cut, rrsets, DS)
        if not find(rrsets, DS):
            body.prove(tree.denial.nodata(cut))
    hosts = find(rrsets, NS)[0].rdatas
    _add_addresses(body, tree, [host for host in hosts if is_below(host.lower(), cut)])
    body.begin_optional()
    _add_addresses(body, tree, [host for host in hosts if not is_below(host.lower(), cut)])


def nodata(tree: Tree) -> Image:
    """NODATA: the name exists, the type does not; for any name of the zone. C adds the proofs."""
    return _negative(tree, Kind.NODATA, NOERROR)


def nxdomain(tree: Tree) -> Image:
    """NXDOMAIN; made for the zone's own name, used for all names below it."""
    return _negative(tree, Kind.NXDOMAIN, NXDOMAIN)


def _negative(tree: Tree, kind: Kind, rcode: int) -> Image:
    def make(do: bool) -> bytes:
        body = Body(tree.origin, shared=True, do=do)
        _add_soa(body, tree)
        return body.image(kind, rcode)

    return _image_pair(tree, make)


def referral(tree: Tree, cut: bytes) -> Image:
    """The referral for a cut and every name below it."""

    def make(do: bool) -> bytes:
        body = Body(cut, shared=True, do=do)
        _add_delegation(body, tree, cut)
        return body.image(Kind.REFERRAL, authoritative=False)

    return _image_pair(tree, make)


def positive(tree: Tree, name: bytes, rdtype: int, rrsets: list[RRset] | None = None) -> Image:
    """The records of one type at an owner; ``rrsets`` may be those of this type only."""
    found = tree.nodes[name] if rrsets is None else rrsets

    def make(do: bool) -> bytes:
        body = Body(name, do=do)
        body.add_type(0, None, found, rdtype)
        _add_additional(body, tree, found, rdtype)
        return body.image(Kind.NOERROR)

    return _image_pair(tree, make)


def node_images(tree: Tree, name: bytes) -> Iterator[tuple[int, Image]]:
    """(type, image), sorted, for each type of an authoritative name; others get NODATA.

    At an alias, C gives all other types the image of the CNAME and goes on from there.
    """
    by_type: dict[int, list[RRset]] = {}
    for rrset in tree.nodes[name]:
        by_type.setdefault(rrset.rdtype, []).append(rrset)
        if rrset.rdtype == RRSIG:
            by_type.setdefault(rrset.covers, []).append(rrset)
    for rdtype, rrsets in sorted(by_type.items()):
        # A signature without what it signs is only an RRSIG.
        if rrsets[0].rdtype == rdtype or find(rrsets, rdtype):
            yield rdtype, positive(tree, name, rdtype, rrsets)
