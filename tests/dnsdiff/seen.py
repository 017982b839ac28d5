"""What a reply says, and the names that it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import dns.flags
import dns.message
import dns.name
import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.zones import texts

Record = tuple[dns.name.Name, int, int, str]

ORIGINS = [dns.name.from_text(zone) for zone in texts()]


@dataclass
class Seen:
    """What a reply says; sections as sets, so that neither order nor repetition counts."""

    size: int
    rcode: int
    aa: bool
    tc: bool
    ad: bool
    edns: tuple[int, int] | None
    answer: set[Record] = field(default_factory=set)
    authority: set[Record] = field(default_factory=set)
    additional: set[Record] = field(default_factory=set)

    def facts(self) -> tuple[object, ...]:
        """All but the size."""
        return tuple(getattr(self, each.name) for each in fields(self) if each.name != "size")

    def of(self, section: str, *types: int) -> set[Record]:
        """The records of a section that have one of the types."""
        return {record for record in getattr(self, section) if record[1] in types}


def records(section: list[dns.rrset.RRset]) -> set[Record]:
    return {
        (rrset.name, int(rrset.rdtype), rrset.ttl, rdata.to_text().lower())
        for rrset in section
        for rdata in rrset
    }


def read(reply: bytes) -> Seen:
    """Parses a reply."""
    message = dns.message.from_wire(reply)
    return Seen(
        len(reply),
        int(message.rcode()),
        bool(message.flags & dns.flags.AA),
        bool(message.flags & dns.flags.TC),
        bool(message.flags & dns.flags.AD),
        (message.edns, message.ednsflags & 0x8000) if message.edns >= 0 else None,
        records(message.answer),
        records(message.authority),
        records(message.additional),
    )


def zone_of(name: dns.name.Name) -> dns.name.Name | None:
    """The zone served that a name is in."""
    return max((o for o in ORIGINS if name.is_subdomain(o)), key=len, default=None)


def last_name(question: Question, seen: Seen) -> dns.name.Name:
    """Where the aliases of an answer lead."""
    targets = {owner: text for owner, _, _, text in seen.of("answer", t.CNAME)}
    name, met = question.name, set()
    while name in targets and name not in met:
        met.add(name)
        name = dns.name.from_text(targets[name])
    return name
