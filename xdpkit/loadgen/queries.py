"""DNS queries for the generator: from a dnsperf file, from a zone's names, or for the benchmark.

Each is a finished message with ID 0 and an EDNS OPT record like a resolver's; the generator fills
in the ID. Every query must have an answer: a reply without one counts as wrong.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.rdatatype

from xdpkit._core._zone_tree import Tree
from xdpkit.errors import ConfigError
from xdpkit.services.dns.compiler.tree import tree_of
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.zone import RRSIG

# RFC 1035 section 4.1.1: ID 0, no flags, one question, one additional record.
HEADER = struct.pack("!6H", 0, 0, 1, 0, 0, 1)
# RFC 6891 section 6.1.2: root name, type OPT, UDP size 1232, no extended RCODE, no options.
OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
CLASS_IN = 1
# RFC 7873 section 4: the option code.
COOKIE = 10

# Queries are sent in turn: a few names are repeated so often that no CPU can learn their order.
MIN_QUERIES = 1 << 16

# Types only returned as part of other answers: RRSIG, NSEC, NSEC3.
SKIPPED_TYPES = frozenset({RRSIG, 47, 50})


def query(name: bytes, rdtype: int) -> bytes:
    """The query message for a wire-format name and a type number."""
    return HEADER + name + struct.pack("!HH", rdtype, CLASS_IN) + OPT


def with_cookie(request: bytes, cookie: bytes | None) -> bytes:
    """The query with this cookie in its OPT record."""
    if cookie is None:
        return request
    option = struct.pack("!HH", COOKIE, len(cookie)) + cookie
    return request[:-2] + struct.pack("!H", len(option)) + option


def cookie_of(reply: bytes) -> bytes | None:
    """The full cookie that a reply carries."""
    options = dns.message.from_wire(reply).options
    return next((bytes(each.to_wire()) for each in options if each.otype == COOKIE), None)


def draw(queries: list[bytes], least: int = MIN_QUERIES, seed: int = 0) -> list[bytes]:
    """The queries in random order, or ``least`` random draws from them if there are fewer."""
    chance = random.Random(seed)
    if len(queries) >= least:
        return chance.sample(queries, len(queries))
    return chance.choices(queries, k=least)


def zipf(queries: list[bytes], count: int, seed: int = 0) -> list[bytes]:
    """``count`` draws in which the query of rank r has weight 1/r; ranks are random."""
    chance = random.Random(seed)
    ranked = chance.sample(queries, len(queries))
    weights: list[float] = []
    total = 0.0
    for rank in range(1, len(ranked) + 1):
        total += 1 / rank
        weights.append(total)
    return chance.choices(ranked, cum_weights=weights, k=count)


def from_file(path: Path) -> list[bytes]:
    """The queries in a dnsperf file: NAME TYPE on each line, ``;`` or ``#`` comments.

    Raises ConfigError with the offending line, and OSError.
    """
    queries = [
        _of_line(path, number, line)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.strip() and line.lstrip()[0] not in ";#"
    ]
    if not queries:
        raise ConfigError(path, "the file has no queries: write NAME TYPE on each line")
    return queries


def _of_line(path: Path, number: int, line: str) -> bytes:
    words = line.split()
    if len(words) != 2:
        raise ConfigError(path, f"{line.strip()!r} is not NAME TYPE", number)
    try:
        name = dns.name.from_text(words[0])
        return query(name.to_wire() or b"\0", dns.rdatatype.from_text(words[1]))
    except (dns.exception.DNSException, UnicodeError, ValueError) as error:
        raise ConfigError(path, f"{line.strip()!r} is not a query: {error}", number) from error


def from_zone(path: Path) -> list[bytes]:
    """A query for every authoritative RRset of a zone file. Raises ZoneError."""
    return list(_of_tree(tree_of(read_zone(path))[0]))


def _of_tree(tree: Tree) -> Iterator[bytes]:
    """Names below a delegation are not among the tree's nodes."""
    for name, rrsets in tree.nodes.items():
        if name in tree.cuts:
            continue
        for rrset in rrsets:
            if rrset.rdtype not in SKIPPED_TYPES:
                yield query(name, rrset.rdtype)
