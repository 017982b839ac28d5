"""Seeded questions about the zones: names there are, names near them, every type, flag and size."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import dns.edns
import dns.message
import dns.name
import dns.rdatatype

from dnsdiff.zones import owners, texts

LABELS = [b"q", b"x", b"*", b"zzz", b"a", b"\0", b"nothing", b"m" * 60, b"A", b"ns", b"w"]

TYPES = """
A A A A A AAAA AAAA NS NS SOA MX MX TXT TXT CNAME CNAME DNAME DS DS SRV ANY HTTPS SVCB RRSIG NSEC
NSEC3 NSEC3PARAM DNSKEY CAA PTR NAPTR TYPE65280 TYPE1000 HINFO URI AFSDB
"""

SIZES = [None, 0, 512, 600, 1000, 1220, 1232, 1452, 4096, 4096, 4096, 4096, 65535]

# IN nearly always; HS, ANY and NONE: RFC 6895 section 3.2.
CLASSES = [1] * 100 + [4, 254, 255]


@dataclass(frozen=True, slots=True)
class Question:
    """A question; ``size`` is None without EDNS."""

    name: dns.name.Name
    rdtype: int
    size: int | None = 4096
    do: bool = False
    flags: int = 0
    rdclass: int = 1

    def wire(self) -> bytes:
        """The request."""
        query = dns.message.Message(id=1)
        query.flags = self.flags
        question = dns.rrset.RRset(self.name, self.rdclass, self.rdtype)
        query.question.append(question)
        if self.size is not None:
            query.use_edns(0, 0x8000 if self.do else 0, self.size)
        return query.to_wire()

    def __str__(self) -> str:
        extras = (
            [f"class {self.rdclass}"] * (self.rdclass != 1)
            + ["DO"] * self.do
            + [f"size {self.size}"]
        )
        return f"{self.name} {dns.rdatatype.to_text(self.rdtype)} {' '.join(extras)}"


def names(chance: random.Random) -> Iterator[dns.name.Name]:
    """Names without end."""
    known = [name for origin, text in texts().items() for name in owners(text, origin)]
    origins = [dns.name.from_text(origin) for origin in texts()]
    while True:
        name = chance.choice(known)
        for _ in range(chance.choice([0, 0, 0, 1, 1, 1, 2, 4])):
            name = changed(chance, name, origins)
        yield mixed(chance, name)


def changed(
    chance: random.Random, name: dns.name.Name, origins: list[dns.name.Name]
) -> dns.name.Name:
    """A name near another."""
    labels = list(name.labels)
    kind = chance.randrange(6)
    if kind <= 1:
        labels.insert(0, chance.choice(LABELS))
    elif kind == 2 and len(labels) > 1:
        del labels[0]
    elif kind == 3 and len(labels) > 1:
        labels[0] = chance.choice(LABELS)
    elif kind == 4 and len(labels) > 3:
        labels[-3:] = chance.choice(origins).labels
    elif len(labels) > 1:
        label = labels[0]
        at = chance.randrange(len(label))
        labels[0] = (
            label[:at] + bytes([(label[at] + chance.choice([-1, 1])) % 256]) + label[at + 1 :]
        )
    try:
        return dns.name.Name(labels)
    except dns.exception.DNSException:
        return name


def mixed(chance: random.Random, name: dns.name.Name) -> dns.name.Name:
    """Its letters in any case."""
    if chance.random() < 0.7:
        return name
    return dns.name.Name(
        [
            bytes(
                byte ^ 32 * (chance.random() < 0.5 and chr(byte).isalpha() and byte < 128)
                for byte in label
            )
            for label in name.labels
        ]
    )


def questions(seed: int, count: int) -> Iterator[Question]:
    """The same ones for the same seed."""
    chance = random.Random(seed)
    some, types = names(chance), TYPES.split()
    for _ in range(count):
        size = chance.choice(SIZES)
        yield Question(
            next(some),
            int(dns.rdatatype.from_text(chance.choice(types))),
            size,
            size is not None and chance.random() < 0.6,
            chance.choice([0, 0, 0x0100, 0x0010, 0x0110, 0x0020]),
            chance.choice(CLASSES),
        )
