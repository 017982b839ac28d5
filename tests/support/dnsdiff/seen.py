"""The content of a reply, and the names that it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import dns.name
import dns.rdatatype as t

from dnsdiff.questions import Question
from dnsdiff.records import Reader, Record

# RFC 1035 section 4.1.1, RFC 4035 section 3.1.6; the opcode is in Question.
QR, AA, TC, RD, RA, Z, AD, CD = 1 << 15, 1 << 10, 1 << 9, 1 << 8, 1 << 7, 1 << 6, 1 << 5, 1 << 4


@dataclass
class Seen:
    """The content of a reply; sections are sets, so that order does not matter."""

    size: int
    rcode: int
    aa: bool
    tc: bool
    bits: int
    """The opcode, and the flags but AA and TC."""
    edns: tuple[int, int, bytes] | None
    """Version, flags and options."""
    question: bytes
    answer: set[Record] = field(default_factory=set)
    authority: set[Record] = field(default_factory=set)
    additional: set[Record] = field(default_factory=set)
    twice: set[Record] = field(default_factory=set)

    def facts(self) -> tuple[object, ...]:
        """Everything except the size and the duplicates."""
        return tuple(getattr(self, name) for name in FACTS)

    def of(self, section: str, *types: int) -> set[Record]:
        """The records of a section with one of the types."""
        return {record for record in getattr(self, section) if record.rdtype in types}


FACTS = [each.name for each in fields(Seen) if each.name not in ("size", "twice")]


def read(reply: bytes) -> Seen:
    """Reads a reply; raises like Reader, or AssertionError."""
    reader = Reader(reply)
    flags = reader.header[1]
    question = reader.question()
    (answer, none), (authority, nor) = reader.section(1), reader.section(2)
    additional, opts = reader.section(3)
    assert reader.at == len(reply) and not none and not nor and len(opts) < 2
    edns, rcode = None, flags & 15
    for owner, fixed, options in opts:
        assert owner == b"\0"
        edns = fixed[5], int.from_bytes(fixed[6:8], "big"), options
        rcode |= fixed[4] << 4
    return Seen(
        len(reply),
        rcode,
        bool(flags & AA),
        bool(flags & TC),
        flags & ~(AA | TC | 15),
        edns,
        question,
        answer,
        authority,
        additional,
        reader.twice,
    )


def is_endless(question: Question, seen: Seen) -> bool:
    """Whether the aliases of an answer form a loop."""
    name = last_name(question, seen)
    return any(record.name == name for record in seen.of("answer", t.CNAME))


def last_name(question: Question, seen: Seen) -> dns.name.Name:
    """Where the aliases of an answer lead."""
    targets = {record.name: record.text for record in seen.of("answer", t.CNAME)}
    name, met = question.name, set()
    while name in targets and name not in met:
        met.add(name)
        name = dns.name.from_text(targets[name])
    return name
