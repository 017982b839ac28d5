"""Random questions about the zones: existing names, names near them, all types, flags and sizes."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import dns.edns
import dns.message
import dns.name
import dns.rdatatype

from dnsdiff.zone_sets import ZoneSet

LABELS = [b"q", b"x", b"*", b"zzz", b"a", b"\0", b"nothing", b"m" * 60, b"A", b"ns", b"w"]
LABELS += [b"X" * 63, b"\xff", b"_", b".", b"child"]

TYPES = """
A A A A A AAAA AAAA NS NS SOA MX MX TXT TXT TXT CNAME CNAME DNAME DS DS SRV ANY HTTPS SVCB RRSIG
NSEC NSEC3 NSEC3PARAM DNSKEY CAA PTR NAPTR TYPE65280 TYPE65281 TYPE65300 TYPE1000 HINFO URI AFSDB
TYPE65535 CDS CSYNC
"""

FAR = "bigtxt bigtxt65 q.wbigown q.r.wbigown *.wbigown q.wbig q.dnbig q.q.dnbig"

# Queried occasionally: transfers and other meta types, which a zone cannot answer, or which are not
# QTYPEs at all (RFC 6895 section 3.1).
META = [0, 41, 128, 200, 249, 250, 252, 253, 254, 249]

SIZES = [None, None, 0, 512, 512, 600, 1000, 1220, 1220, 1232, 1232, 1452, 1452, 4096, 4096, 65535]

# Almost always IN; CH, HS, ANY and NONE: RFC 6895 section 3.2.
CLASSES = [1] * 100 + [3, 4, 254, 255]

# Flags that a server copies, ignores, or that belong in replies: RD, CD, AD and combinations.
FLAGS = [0, 0, 0x0100, 0x0010, 0x0110, 0x0020, 0x0130, 0x0420, 0x0280, 0x0040, 0x07F0]

# All opcodes but QUERY, in the flags.
OPCODES = [opcode << 11 for opcode in range(1, 16)]

UNKNOWN_OPTION = dns.edns.GenericOption(65001, b"anything")
"""An option code for local use, RFC 6891 section 9."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question to a server of a zone set; ``size`` is None without EDNS.

    ``flags`` is the second word of the header, opcode and all; ``ednsflags`` excludes DO.
    """

    zone_set: ZoneSet
    name: dns.name.Name
    rdtype: int
    size: int | None = 4096
    do: bool = False
    flags: int = 0
    rdclass: int = 1
    version: int = 0
    ednsflags: int = 0
    option: bool = False

    def wire(self) -> bytes:
        """The request."""
        query = dns.message.Message(id=1)
        query.flags = self.flags
        question = dns.rrset.RRset(self.name, self.rdclass, self.rdtype)
        query.question.append(question)
        if self.size is not None:
            query.use_edns(
                self.version,
                self.do << 15 | self.ednsflags,
                self.size,
                options=[UNKNOWN_OPTION] * self.option,
            )
        return query.to_wire()

    @property
    def opcode(self) -> int:
        """0 is QUERY."""
        return self.flags >> 11 & 15

    def __str__(self) -> str:
        extras = [f"class {self.rdclass}"] * (self.rdclass != 1)
        extras += [f"flags {self.flags:04x}"] * bool(self.flags)
        if self.size is not None:
            extras += [f"size {self.size}"] + ["DO"] * self.do + ["an option"] * self.option
            extras += [f"EDNS version {self.version}"] * bool(self.version)
            extras += [f"EDNS flags {self.ednsflags:04x}"] * bool(self.ednsflags)
        return f"{self.name} {dns.rdatatype.to_text(self.rdtype)} {' '.join(extras)}"


def names(chance: random.Random, zone_set: ZoneSet) -> Iterator[dns.name.Name]:
    """An endless series of names."""
    kinds: dict[bytes, list[dns.name.Name]] = defaultdict(list)
    for known in zone_set.names():
        # A hundred hosts that differ only by a number count as one.
        kinds[known.to_wire().translate(None, b"0123456789")].append(known)
    names_of_kinds, origins = list(kinds.values()), zone_set.origins
    while True:
        name = chance.choice(chance.choice(names_of_kinds))
        for _ in range(chance.choice([0, 0, 0, 1, 1, 1, 2, 4])):
            name = changed(chance, name, origins)
        yield mixed(chance, name)


def changed(
    chance: random.Random, name: dns.name.Name, origins: list[dns.name.Name]
) -> dns.name.Name:
    """A random variation of a name."""
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
    """The name with random letter case."""
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


def corners(zone_set: ZoneSet) -> Iterator[Question]:
    """Cases too rare for chance: replies of over 16 KiB with proofs after the records."""
    wildcards = [name for name in zone_set.names() if name.labels[:2] == (b"*", b"wbigown")]
    for wildcard, owner in itertools.product(wildcards, FAR.split()):
        name = dns.name.from_text(owner, wildcard.parent().parent())
        for rdtype, do in itertools.product(("TXT", "A", "ANY"), (True, False)):
            yield Question(zone_set, name, dns.rdatatype.from_text(rdtype), do=do)


def questions(zone_set: ZoneSet, seed: int, count: int) -> Iterator[Question]:
    """Random questions, the same for the same seed."""
    chance = random.Random(seed)
    some = names(chance, zone_set)
    types = [int(dns.rdatatype.from_text(rdtype)) for rdtype in TYPES.split()]
    for _ in range(count):
        size = chance.choice(SIZES)
        edns = size is not None
        flags = chance.choice(FLAGS)
        yield Question(
            zone_set,
            next(some),
            chance.choice(META if chance.random() < 0.01 else types),
            size,
            do=edns and chance.random() < 0.6,
            flags=flags | (chance.choice(OPCODES) if chance.random() < 0.01 else 0),
            rdclass=chance.choice(CLASSES),
            version=chance.choice([1, 2, 255]) if edns and chance.random() < 0.01 else 0,
            ednsflags=chance.choice([1, 0x4000, 0x7FFF]) if edns and chance.random() < 0.1 else 0,
            option=edns and chance.random() < 0.1,
        )
