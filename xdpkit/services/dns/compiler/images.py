"""Reply images: the answer for each name and type, finished when the zone is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from xdpkit.services.dns.compiler.body import NOERROR, NXDOMAIN, YXDOMAIN, Body, Image, Kind
from xdpkit.services.dns.compiler.forest import AliasChain, AliasStep, Forest, dname_target
from xdpkit.services.dns.compiler.tree import NameMatch, Tree
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


def positive(tree: Tree, name: bytes, rdtype: int) -> Image:
    """The records of one type at an owner."""

    def make(do: bool) -> bytes:
        body = Body(name, do=do)
        body.add_type(0, None, tree.nodes[name], rdtype)
        _add_additional(body, tree, tree.nodes[name], rdtype)
        return body.image(Kind.NOERROR)

    return _image_pair(tree, make)


def delegated_ds(tree: Tree, name: bytes) -> Image:
    """The DS records of a delegated name, or their denial: ``tree`` is the zone above it."""
    if tree.ds(name):
        return positive(tree, name, DS)

    result = tree.lookup(name)

    def make(do: bool) -> bytes:
        body = Body(name, do=do)
        if result.match is NameMatch.CUT and result.node != name:
            _add_delegation(body, tree, result.node)
            return body.image(Kind.REFERRAL, authoritative=False)
        _deny_ds(body, tree, name)
        return _finish_without_ds(body, tree, name)

    return _image_pair(tree, make)


def _finish_without_ds(body: Body, tree: Tree, name: bytes) -> bytes:
    """Ends a reply without DS; the parent may lack the name if nothing delegates the zone."""
    if tree.lookup(name).match is NameMatch.MISSING:
        return body.image(Kind.NXDOMAIN, NXDOMAIN)
    return body.image(Kind.NODATA)


def _deny_ds(body: Body, tree: Tree, name: bytes) -> None:
    _add_soa(body, tree)
    if not body.do or not tree.denial:
        return
    result = tree.lookup(name)
    if result.match is NameMatch.MISSING:
        body.prove(tree.denial.nxdomain(name, result.node))
    elif result.match is NameMatch.WILDCARD:
        body.prove(tree.denial.expansion(name, result.node, nodata=True))
    else:
        body.prove(tree.denial.nodata(result.node))


# -------------------------------------------------------------------------------------------------


def _alias_answer(chain: AliasChain, do: bool) -> Body:
    """Begins an answer section with the aliases of a chain."""
    body = Body(chain.steps[0].name, do=do)
    dnames: set[bytes] = set()
    for index, step in enumerate(chain.steps):
        owner = step.name if index else None
        if step.result.match is not NameMatch.DNAME:
            body.add_type(0, owner, step.rrsets, CNAME)
            continue
        if step.result.node not in dnames:
            dnames.add(step.result.node)
            body.add_type(0, step.result.node, step.rrsets, DNAME)
        if not (chain.overflow and step is chain.steps[-1]):
            dname = find(step.rrsets, DNAME)[0]
            # The DNAME's own TTL: RFC 6672 section 3.1.
            made = RRset(CNAME, 0, dname.ttl, dname.path, dname.line, [dname_target(step)])
            body.add(0, owner, made)
    return body


def _prove_expansions(body: Body, chain: AliasChain) -> None:
    """Proves that names expanded from wildcards do not exist. C does so for the question's name."""
    for step in chain.steps[1:]:
        if step.wildcard:
            _prove_expansion(body, step)


def _prove_expansion(body: Body, step: AliasStep, nodata: bool = False) -> None:
    if body.do and step.tree.denial:
        body.prove(step.tree.denial.expansion(step.name, step.result.node, nodata))


def _end_without_type(chain: AliasChain, body: Body) -> bytes:
    """Ends a chain whose last name does not have the requested type."""
    step = chain.end
    if chain.overflow:
        _prove_expansions(body, chain)
        return body.image(Kind.YXDOMAIN, YXDOMAIN)
    if step is None:
        _prove_expansions(body, chain)
        return body.image(Kind.NOERROR)
    if step.result.match is NameMatch.CUT:
        # AA is about the first owner name, RFC 1035 section 4.1.1.
        _prove_expansions(body, chain)
        _add_delegation(body, step.tree, step.result.node)
        return body.image(Kind.NOERROR)
    _add_soa(body, step.tree)
    _prove_expansions(body, chain)
    # RFC 6604 section 3: the rcode is that of the last name.
    if step.result.match is NameMatch.MISSING:
        if body.do and step.tree.denial:
            body.prove(step.tree.denial.nxdomain(step.name, step.result.node))
        return body.image(Kind.NXDOMAIN, NXDOMAIN)
    if step.wildcard:
        _prove_expansion(body, step, nodata=True)
    elif body.do and step.tree.denial:
        body.prove(step.tree.denial.nodata(step.result.node))
    return body.image(Kind.NODATA)


def _end_with_type(chain: AliasChain, step: AliasStep, rdtype: int, body: Body) -> bytes:
    """Ends a chain whose last name has the requested type."""
    body.add_type(0, step.name, step.rrsets, rdtype)
    _prove_expansions(body, chain)
    if step.wildcard:
        _prove_expansion(body, step)
    _add_additional(body, step.tree, step.rrsets, rdtype)
    return body.image(Kind.NOERROR)


def _end_with_ds(forest: Forest, chain: AliasChain, step: AliasStep, body: Body) -> bytes:
    """Ends a chain that leads to a delegated name, for DS: RFC 4035 section 3.1.4.1."""
    above = step.tree if step.result.match is NameMatch.CUT else forest.parent_of(step.tree)
    assert above is not None  # _belongs_to_parent() ensures it
    if above.ds(step.name):
        body.add_type(0, step.name, above.nodes[step.name], DS)
        _prove_expansions(body, chain)
        return body.image(Kind.NOERROR)
    _deny_ds(body, above, step.name)
    _prove_expansions(body, chain)
    return _finish_without_ds(body, above, step.name)


def _belongs_to_parent(forest: Forest, step: AliasStep) -> bool:
    """Whether the parent zone is authoritative for a DS at this name."""
    if step.result.match is NameMatch.CUT:
        return step.result.node == step.name
    return step.name == step.tree.origin and forest.parent_of(step.tree) is not None


def alias(forest: Forest, tree: Tree, name: bytes) -> tuple[dict[int, Image], Image]:
    """The images of a name with a CNAME: by type, and the one for every other type."""
    chain = forest.follow_aliases(tree, name)
    signed = any(step.tree.denial for step in (*chain.steps, chain.end) if step is not None)

    def pair(end: Callable[[Body], bytes]) -> Image:
        plain = end(_alias_answer(chain, False))
        if not signed:
            return Image(plain)
        body = _alias_answer(chain, True)
        secure = end(body)
        return Image(plain, secure, tuple(body.proofs) if body.wildcard else ())

    images = {}
    step = chain.end
    if step is not None:
        if step.result.match in (NameMatch.EXACT, NameMatch.WILDCARD):
            for rdtype in {rrset.rdtype for rrset in step.rrsets}:
                images[rdtype] = pair(partial(_end_with_type, chain, step, rdtype))
        if _belongs_to_parent(forest, step):
            images[DS] = pair(partial(_end_with_ds, forest, chain, step))
    return images, pair(partial(_end_without_type, chain))


def node_images(forest: Forest, tree: Tree, name: bytes) -> Iterator[tuple[int | None, Image]]:
    """(type, image) for all answers to a question for an authoritative name.

    The type None is "every other"; if it is missing, the zone's NODATA image is used.
    """
    rrsets = tree.nodes[name]
    images, other = dict[int, Image](), None
    if find(rrsets, CNAME):
        images, other = alias(forest, tree, name)
    for rdtype in dict.fromkeys(rrset.rdtype for rrset in rrsets):
        images[rdtype] = positive(tree, name, rdtype)
    above = forest.parent_of(tree) if name == tree.origin else None
    if above is not None:
        images[DS] = delegated_ds(above, name)
    yield from sorted(images.items())
    if other is not None:
        yield None, other
