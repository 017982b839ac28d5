"""Reply images: what a question for each name and type gets, finished when the zone is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from xdpkit.services.dns.compiler.body import NOERROR, NXDOMAIN, YXDOMAIN, Body, Image, Kind
from xdpkit.services.dns.compiler.forest import Chain, Forest, Step, replaced
from xdpkit.services.dns.compiler.tree import Match, Tree
from xdpkit.services.dns.zonefile.zone import (
    CNAME,
    DNAME,
    DS,
    HTTPS,
    MX,
    NS,
    RRSIG,
    SOA,
    SRV,
    SVCB,
    RRset,
    find,
    host_at,
    is_below,
)

TARGET = {NS: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}
"""Types whose hosts' addresses go along, and the bytes in front of the host's name: RFC 1035
sections 3.3.9 and 3.3.11, RFC 2782, RFC 9460 section 4.1."""


def _both(tree: Tree, make: Callable[[bool], bytes]) -> Image:
    """An image without and, in a signed zone, with signatures."""
    return Image(make(False), make(True) if tree.denial else None)


def _denial(body: Body, tree: Tree) -> None:
    """The SOA that says how long a denial holds, RFC 2308 section 3."""
    apex = tree.nodes[tree.origin]
    body.add_type(1, tree.origin, apex, SOA, tree.zone.negative_ttl)


def _addresses(body: Body, tree: Tree, hosts: list[bytes]) -> None:
    """Signed ones with their signatures; glue has none."""
    for host in dict.fromkeys(host.lower() for host in hosts):
        for rrset in tree.addresses(host):
            if body.do or rrset.rdtype != RRSIG:
                body.add(2, host, rrset)


def _additional(body: Body, tree: Tree, rrsets: list[RRset], rdtype: int) -> None:
    """The addresses of the hosts in an answer, RFC 1034 section 4.3.2 step 6."""
    if rdtype in TARGET:
        hosts = [
            host_at(rdata, TARGET[rdtype])
            for rrset in find(rrsets, rdtype)
            for rdata in rrset.rdatas
        ]
        body.optional()
        _addresses(body, tree, hosts)


def _delegation(body: Body, tree: Tree, cut: bytes) -> None:
    """The NS records of a cut, what says whether it is signed, and addresses of the servers.

    Those that lie below the cut must not be missing, the others may: RFC 9471 section 3.
    """
    rrsets = tree.nodes[cut]
    body.add(1, cut, find(rrsets, NS)[0])
    if body.do and tree.denial:
        body.add_type(1, cut, rrsets, DS)
        if not find(rrsets, DS):
            body.prove(tree.denial.nodata(cut))
    hosts = find(rrsets, NS)[0].rdatas
    _addresses(body, tree, [host for host in hosts if is_below(host.lower(), cut)])
    body.optional()
    _addresses(body, tree, [host for host in hosts if not is_below(host.lower(), cut)])


def nodata(tree: Tree) -> Image:
    """A name exists, the type does not; for every name of the zone. C adds the proofs."""
    return _negative(tree, Kind.NODATA, NOERROR)


def nxdomain(tree: Tree) -> Image:
    """The name does not exist; made for the zone's own name, used for all below it."""
    return _negative(tree, Kind.NXDOMAIN, NXDOMAIN)


def _negative(tree: Tree, kind: Kind, rcode: int) -> Image:
    def make(do: bool) -> bytes:
        body = Body(tree.origin, shared=True, do=do)
        _denial(body, tree)
        return body.image(kind, rcode)

    return _both(tree, make)


def referral(tree: Tree, cut: bytes) -> Image:
    """Ask there: for the cut and for every name below it."""

    def make(do: bool) -> bytes:
        body = Body(cut, shared=True, do=do)
        _delegation(body, tree, cut)
        return body.image(Kind.REFERRAL, authoritative=False)

    return _both(tree, make)


def positive(tree: Tree, name: bytes, rdtype: int) -> Image:
    """The records of one type at an owner."""

    def make(do: bool) -> bytes:
        body = Body(name, do=do)
        body.add_type(0, None, tree.nodes[name], rdtype)
        _additional(body, tree, tree.nodes[name], rdtype)
        return body.image(Kind.NOERROR)

    return _both(tree, make)


def delegated(tree: Tree, name: bytes) -> Image:
    """The DS records of a name that is delegated, or that there are none: ``tree`` is above it."""
    if tree.signers(name):
        return positive(tree, name, DS)

    place = tree.place(name)

    def make(do: bool) -> bytes:
        body = Body(name, do=do)
        if place.match is Match.CUT and place.node != name:
            _delegation(body, tree, place.node)
            return body.image(Kind.REFERRAL, authoritative=False)
        _no_signers(body, tree, name)
        return _unsigned(body, tree, name)

    return _both(tree, make)


def _unsigned(body: Body, tree: Tree, name: bytes) -> bytes:
    """No DS; of a zone that nobody delegates the zone above may not even know the name."""
    if tree.place(name).match is Match.MISSING:
        return body.image(Kind.NXDOMAIN, NXDOMAIN)
    return body.image(Kind.NODATA)


def _no_signers(body: Body, tree: Tree, name: bytes) -> None:
    _denial(body, tree)
    if not body.do or not tree.denial:
        return
    place = tree.place(name)
    if place.match is Match.MISSING:
        body.prove(tree.denial.nxdomain(name, place.node))
    elif place.match is Match.WILDCARD:
        body.prove(tree.denial.expanded(name, place.node, nodata=True))
    else:
        body.prove(tree.denial.nodata(place.node))


# -------------------------------------------------------------------------------------------------


def _begin(chain: Chain, do: bool) -> Body:
    """An answer section with the aliases of a chain."""
    body = Body(chain.steps[0].name, do=do)
    dnames: set[bytes] = set()
    for index, step in enumerate(chain.steps):
        owner = step.name if index else None
        if step.place.match is not Match.DNAME:
            body.add_type(0, owner, step.rrsets, CNAME)
            continue
        if step.place.node not in dnames:
            dnames.add(step.place.node)
            body.add_type(0, step.place.node, step.rrsets, DNAME)
        if not (chain.overflow and step is chain.steps[-1]):
            dname = find(step.rrsets, DNAME)[0]
            # The DNAME's own TTL: RFC 6672 section 3.1.
            made = RRset(CNAME, 0, dname.ttl, dname.path, dname.line, [replaced(step)])
            body.add(0, owner, made)
    return body


def _prove_expansions(body: Body, chain: Chain) -> None:
    """That the names which wildcards stand for do not exist. The question's own C proves."""
    for step in chain.steps[1:]:
        if step.wildcard:
            _prove_expansion(body, step)


def _prove_expansion(body: Body, step: Step, nodata: bool = False) -> None:
    if body.do and step.tree.denial:
        body.prove(step.tree.denial.expanded(step.name, step.place.node, nodata))


def _end(chain: Chain, body: Body) -> bytes:
    """The end of a chain whose last name has not the type that was asked for."""
    step = chain.end
    if chain.overflow:
        _prove_expansions(body, chain)
        return body.image(Kind.YXDOMAIN, YXDOMAIN)
    if step is None:
        _prove_expansions(body, chain)
        return body.image(Kind.NOERROR)
    if step.place.match is Match.CUT:
        # AA is about the first owner name, RFC 1035 section 4.1.1.
        _prove_expansions(body, chain)
        _delegation(body, step.tree, step.place.node)
        return body.image(Kind.NOERROR)
    _denial(body, step.tree)
    _prove_expansions(body, chain)
    # RFC 6604 section 3: the rcode is that of the last name.
    if step.place.match is Match.MISSING:
        if body.do and step.tree.denial:
            body.prove(step.tree.denial.nxdomain(step.name, step.place.node))
        return body.image(Kind.NXDOMAIN, NXDOMAIN)
    if step.wildcard:
        _prove_expansion(body, step, nodata=True)
    elif body.do and step.tree.denial:
        body.prove(step.tree.denial.nodata(step.place.node))
    return body.image(Kind.NODATA)


def _found(chain: Chain, step: Step, rdtype: int, body: Body) -> bytes:
    """The end of a chain whose last name has the type."""
    body.add_type(0, step.name, step.rrsets, rdtype)
    _prove_expansions(body, chain)
    if step.wildcard:
        _prove_expansion(body, step)
    _additional(body, step.tree, step.rrsets, rdtype)
    return body.image(Kind.NOERROR)


def _signers(forest: Forest, chain: Chain, step: Step, body: Body) -> bytes:
    """The end of a chain that leads to a delegated name, for DS: RFC 4035 section 3.1.4.1."""
    above = step.tree if step.place.match is Match.CUT else forest.above(step.tree)
    assert above is not None  # _asks_above() saw to it
    if above.signers(step.name):
        body.add_type(0, step.name, above.nodes[step.name], DS)
        _prove_expansions(body, chain)
        return body.image(Kind.NOERROR)
    _no_signers(body, above, step.name)
    _prove_expansions(body, chain)
    return _unsigned(body, above, step.name)


def _asks_above(forest: Forest, step: Step) -> bool:
    """Whether a DS at this name is for the zone above to tell."""
    if step.place.match is Match.CUT:
        return step.place.node == step.name
    return step.name == step.tree.origin and forest.above(step.tree) is not None


def alias(forest: Forest, tree: Tree, name: bytes) -> tuple[dict[int, Image], Image]:
    """The images of a name with a CNAME: by type, and for every other type."""
    chain = forest.chain(tree, name)
    signed = any(step.tree.denial for step in (*chain.steps, chain.end) if step is not None)

    def both(end: Callable[[Body], bytes]) -> Image:
        plain = end(_begin(chain, False))
        if not signed:
            return Image(plain)
        body = _begin(chain, True)
        secure = end(body)
        return Image(plain, secure, tuple(body.proofs) if body.wildcard else ())

    images = {}
    step = chain.end
    if step is not None:
        if step.place.match in (Match.EXACT, Match.WILDCARD):
            for rdtype in {rrset.rdtype for rrset in step.rrsets}:
                images[rdtype] = both(partial(_found, chain, step, rdtype))
        if _asks_above(forest, step):
            images[DS] = both(partial(_signers, forest, chain, step))
    return images, both(partial(_end, chain))


def of_node(forest: Forest, tree: Tree, name: bytes) -> Iterator[tuple[int | None, Image]]:
    """(type, image) of all that a question for an authoritative name can get.

    The type None is "every other"; where it does not come, the zone's NODATA image serves.
    """
    rrsets = tree.nodes[name]
    images, other = dict[int, Image](), None
    if find(rrsets, CNAME):
        images, other = alias(forest, tree, name)
    for rdtype in dict.fromkeys(rrset.rdtype for rrset in rrsets):
        images[rdtype] = positive(tree, name, rdtype)
    above = forest.above(tree) if name == tree.origin else None
    if above is not None:
        images[DS] = delegated(above, name)
    yield from sorted(images.items())
    if other is not None:
        yield None, other
