"""``xdpkit query``: what the server would answer, offline, and why.

The C code makes the answer, through the bytes call, from the cached zones or from zones compiled on
the spot; the reasons are read from the same arena (view.py), those of a JSON zone from its file.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from xdpkit._core._answer import answer
from xdpkit._core._prefix_map import AccessList
from xdpkit.config.address import Address
from xdpkit.config.dns import DEFAULT_LIMITS, DnsConfig, ZoneLimits
from xdpkit.config.geo import GeoConfig, GeoFiles
from xdpkit.errors import UsageError, XdpkitError
from xdpkit.services.dns.compiler.arena import ALIAS, CUT, DNAME
from xdpkit.services.dns.compiler.view import ArenaView, ImageView, NodeView
from xdpkit.services.dns.query.geo_reasons import GeoReasons, Subnet
from xdpkit.services.dns.query.proof_text import proof_lines
from xdpkit.services.dns.query.served import (
    Served,
    Zones,
    deciding_zone,
    load_served,
    scope_of,
    subnet_option,
    zone_of,
)
from xdpkit.services.dns.zonefile.error_list import directory_error
from xdpkit.services.dns.zonefile.zone import name_text, parent


@dataclass(frozen=True, slots=True)
class Explanation:
    """A question, its answer and the reasons."""

    name: str
    type: str
    client: str
    zone: str | None
    node: str | None
    """The name in the zone whose records, or lack of them, decided."""
    match: str
    """exact, cname, dname, wildcard, empty non-terminal, referral, missing, out of zone, not loaded
    for a zone whose file is broken, or no data for a type that no zone can have, such as AXFR."""
    chain: tuple[str, ...]
    """The names that aliases lead to, each with its zone."""
    proof: tuple[str, ...]
    """For a question with DO: each NSEC or NSEC3 record of the reply, and what it proves."""
    sizes: dict[str, dict[str, int]]
    """Reply sizes for a "plain" question and one with "do": with the whole image ("full"), without
    optional records ("trimmed"), and with TC ("least"). Proofs that depend on the name are not
    included."""
    verdict: str
    rcode: str
    authoritative: bool
    truncated: bool
    size: int
    """Bytes of the reply over UDP, including its OPT."""
    limit: int
    """Size limit of the reply: the request asks for the server's own maximum."""
    answer: tuple[str, ...]
    authority: tuple[str, ...]
    additional: tuple[str, ...]
    subnet: str | None = None
    """The client subnet of the question."""
    scope: int | None = None
    """Of the reply's client subnet."""
    geo: GeoReasons | None = None
    """In a JSON zone, how the answer depends on the client, on health and on chance."""

    def __str__(self) -> str:
        flags = ["aa"] * self.authoritative + ["tc"] * self.truncated
        subnet = f" for {self.subnet}, scope {self.scope}" if self.subnet else ""
        lines = [
            f"{self.name} {self.type} from {self.client}{subnet}: {self.rcode}"
            f"{' ' + ' '.join(flags) if flags else ''}, {self.size} of {self.limit} bytes",
            f"zone    {self.zone or 'none'}",
            f"match   {self.match}{' at ' + self.node if self.node else ''}",
            f"counted {self.verdict}",
        ]
        lines += self.geo.lines() if self.geo else []
        lines += [f"leads   to {step}" for step in self.chain]
        lines += [
            f"image   {kind}: {found['full']} bytes, {found['trimmed']} without optional records, "
            f"{found['least']} when truncated"
            for kind, found in self.sizes.items()
        ]
        lines += [f"proof   {line}" for line in self.proof]
        for section in ("answer", "authority", "additional"):
            records: tuple[str, ...] = getattr(self, section)
            lines += [f"{section}:"] * bool(records) + [f"    {record}" for record in records]
        return "\n".join(lines)


def _find_node(
    view: ArenaView, name: bytes, rdtype: int, answer: list[dns.rrset.RRset]
) -> tuple[NodeView, str]:
    """The deciding node and how it was found; the same steps as zone/zone.c's zone_lookup().

    ``answer`` distinguishes an alias that was followed from one whose own records were queried.
    """
    node = view.find(name)
    if node is not None:
        if node.flags & CUT:
            return node, "exact" if rdtype == dns.rdatatype.DS else "referral"
        if node.flags & ALIAS and rdtype not in (dns.rdatatype.CNAME, dns.rdatatype.ANY):
            # RRSIG and NSEC may exist beside a CNAME (RFC 4034 sections 3 and 4).
            own = bool(answer) and answer[0].rdtype == rdtype
            return node, "exact" if own else "cname"
        if not node.images:
            return node, "empty non-terminal"
        return node, "exact"
    while True:
        name = parent(name)
        node = view.find(name)
        if node is None:
            continue
        if node.flags & CUT:
            return node, "referral"
        if node.flags & DNAME:
            return node, "dname"
        if node.wildcard:
            return view.node(node.wildcard), "wildcard"
        return node, "missing"


def _image(view: ArenaView, node: NodeView, match: str, rdtype: int) -> ImageView:
    """The image that the answer consists of, or begins with."""
    if match == "dname":
        return node.images[dns.rdatatype.DNAME]
    if match == "missing":
        return view.negative(nxdomain=True)
    if rdtype == dns.rdatatype.ANY and node.images and not node.flags & CUT:
        data = [t for t in node.images if t not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]
        alias = dns.rdatatype.CNAME if node.flags & ALIAS else None
        return node.images[alias or min(data or node.images)]
    if rdtype in node.images:
        return node.images[rdtype]
    if node.flags & CUT and rdtype == dns.rdatatype.DS:
        return view.negative(nxdomain=False)
    return node.fallback


def _sizes(image: ImageView | None, base: int) -> dict[str, dict[str, int]]:
    """Reply sizes; ``base`` is the size of header, question and OPT."""
    both = {"plain": image, "do": image.secure if image else None}
    return {
        kind: {
            "full": base + found.full,
            "trimmed": base + found.trimmed,
            "least": base + found.least,
        }
        for kind, found in both.items()
        if found
    }


def _alias_targets(
    zones: Zones, qname: dns.name.Name, message: dns.message.Message
) -> tuple[str, ...]:
    """The targets of the answer's aliases, in order."""
    targets = {
        rrset.name: rrset[0].target
        for rrset in message.answer
        if rrset.rdtype == dns.rdatatype.CNAME
    }
    found: list[str] = []
    name = qname
    while name in targets and len(found) < len(targets):
        name = targets[name]
        zone = zone_of(zones, name.to_digestable())
        where = f"in {name_text(zone)}" if zone else "in no zone served"
        found.append(f"{name.to_text(omit_final_dot=True)} {where}")
    return tuple(found)


class _Decision(NamedTuple):
    """What an answer is made from; see Explanation."""

    zone: str | None
    node: str | None
    match: str
    image: ImageView | None


def _decide(
    zones: Zones, name: bytes, rdtype: int, verdict: str, answer: list[dns.rrset.RRset]
) -> _Decision:
    zone = deciding_zone(zones, name, rdtype)
    if zone is None:
        return _Decision(None, None, "out of zone", None)
    arena = zones[zone]
    if verdict == "dns_refused":
        # Refused because of its type, before any name is looked up.
        return _Decision(None, None, "no data", None)
    if arena is None:
        return _Decision(name_text(zone), None, "not loaded", None)
    view = ArenaView(arena.view())
    node, match = _find_node(view, name, rdtype, answer)
    return _Decision(
        name_text(zone), name_text(node.name), match, _image(view, node, match, rdtype)
    )


def _section(rrsets: list[dns.rrset.RRset]) -> tuple[str, ...]:
    return tuple(line for rrset in rrsets for line in rrset.to_text().splitlines())


def _requests(
    name: str, rdtype: str, max_udp: int, subnet: Subnet | None
) -> tuple[dns.name.Name, dns.rdatatype.RdataType, bytes, bytes]:
    """The question's name and type, a request with it, and one with DO, for its proofs."""
    options: list[dns.edns.Option] = [] if subnet is None else [subnet_option(subnet)]
    try:
        qname = dns.name.from_text(name)
        qtype = dns.rdatatype.from_text(rdtype)
        request = dns.message.make_query(
            qname, qtype, use_edns=0, payload=max_udp, flags=0, options=options
        )
        signed = dns.message.make_query(qname, qtype, payload=4096, flags=0, want_dnssec=True)
    except (dns.exception.DNSException, ValueError) as error:
        raise UsageError(f"{name} {rdtype} is not a valid question: {error}") from None
    return qname, qtype, request.to_wire(), signed.to_wire()


def explain_served(
    served: Served,
    name: str,
    rdtype: str,
    client: str = "192.0.2.1",
    max_udp: int = 1232,
    admitted: AccessList | None = None,
    subnet: Subnet | None = None,
) -> Explanation:
    """Explains the answer to a question of a client, or of a resolver for a client's subnet.

    ``admitted`` is the server's access list. Raises UsageError for an invalid name, type or client,
    XdpkitError if the client gets no answer.
    """
    zones = served.zones
    qname, qtype, request, signed = _requests(name, rdtype, max_udp, subnet)
    try:
        sender = ip_address(client)
    except ValueError as error:
        raise UsageError(f"{client!r} is not an address: {error}") from None
    snapshot, now = served.snapshot(max_udp, admitted), time.monotonic_ns()
    verdict, reply = answer(snapshot, "dns", request, (client, 40000), mono_ns=now)
    if reply is None:
        raise XdpkitError(f"a question from {client} gets no answer: {verdict}")
    message = dns.message.from_wire(reply)
    # Only for its proofs, so with more room than a client may get.
    _, with_do = answer(served.snapshot(4096), "dns", signed, (client, 40000), mono_ns=now)
    deciding = _decide(zones, qname.to_digestable(), qtype, verdict, message.answer)
    geo = None
    if deciding.node is not None:
        subnet_used = subnet if served.ecs else None
        geo = served.reasons(qname, qtype, sender, subnet_used)
    # Those of a choice are many.
    image = None if geo else deciding.image
    return Explanation(
        name=qname.to_text(omit_final_dot=True),
        type=dns.rdatatype.to_text(qtype),
        client=client,
        zone=deciding.zone,
        node=deciding.node,
        match=deciding.match,
        chain=_alias_targets(zones, qname, message),
        proof=proof_lines(dns.message.from_wire(with_do or reply), qname),
        sizes=_sizes(image, len(request)),
        verdict=verdict,
        rcode=dns.rcode.to_text(message.rcode()),
        authoritative=bool(message.flags & dns.flags.AA),
        truncated=bool(message.flags & dns.flags.TC),
        size=len(reply),
        limit=max_udp,
        answer=_section(message.answer),
        authority=_section(message.authority),
        additional=_section(message.additional),
        subnet=None if subnet is None else str(subnet),
        scope=scope_of(message),
        geo=geo,
    )


def explain(
    directory: Path,
    name: str,
    rdtype: str,
    client: str = "192.0.2.1",
    max_udp: int = 1232,
    cache: Path | None = None,
    admitted: AccessList | None = None,
    subnet: Subnet | None = None,
    geo: GeoFiles | None = None,
    states: GeoConfig | None = None,
    limits: ZoneLimits = DEFAULT_LIMITS,
    config: DnsConfig | None = None,
    addresses: Sequence[Address] = (),
) -> Explanation:
    """Explains the answer to a question from the zones of ``directory``.

    They are compiled, unless the daemon's ``cache`` has them and is readable; JSON zones are read
    with ``geo``, and answer by the health and the settings of ``states``. ``config`` and
    ``addresses`` are the server's, for what it says of itself. Raises ZoneError if the
    zone of the name has no version that loads, or there are no zones, UsageError for an invalid
    question.
    """
    served = load_served(directory, cache, geo, states, limits, config, addresses)
    found = explain_served(served, name, rdtype, client, max_udp, admitted, subnet)
    for zone, errors in served.errors.items():
        if name_text(zone) == found.zone:
            raise directory_error(errors)
    return found
