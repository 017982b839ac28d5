"""A zone as its JSON file has it: typed, immutable, and without any idea of how it is answered."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import JsonDocument, Problem
from xdpkit.services.dns.geo.targets import Targeting
from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, NS, A

# GeoDNS's SOA: refresh, retry, expire, minimum, in seconds.
SOA_TIMES = (5400, 5400, 1_209_600, 3600)

# RFC 1035 section 3.3.13, without the two names.
_SOA_NUMBERS = struct.Struct("!5I")

# The SOA's TTL is ten times the zone's, at most this many seconds; that of a zone with TTL 0.
SOA_TTL_MAX, SOA_TTL_OF_ZERO = 3600, 600

# Seconds, whatever the zone's: the label's own counts nevertheless.
NS_TTL = 86400

# Of these at most max_hosts are drawn even where no record has a weight.
ALWAYS_DRAWN = frozenset({A, AAAA, CNAME})


@dataclass(frozen=True, slots=True)
class GeoRecord:
    """One record."""

    rdata: bytes
    """In wire format, names uncompressed."""
    weight: int = 0
    health: str = ""
    """``FILE/KEY`` of its status; empty: it is always healthy."""


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """A label whose records are answered; of several, one is drawn by weight."""

    key: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """What a key of ``data`` holds."""

    key: str
    """Canonical: in lower case. The apex is the empty string."""
    wire: bytes
    """The name, with the zone's, in wire format."""
    ttl: int
    """Seconds; 0: the zone's."""
    max_hosts: int
    closest: bool
    aliases: tuple[AliasTarget, ...]
    records: Mapping[int, tuple[GeoRecord, ...]]
    """By type, in the file's order; an empty list is no entry."""
    place: JsonPath
    """Where it is in the file."""


@dataclass(frozen=True, slots=True)
class GeoZone:
    """One zone."""

    origin: bytes
    """In lower case, in wire format."""
    path: Path
    ttl: int
    serial: int
    contact: bytes
    """The SOA's mailbox, a wire name."""
    primary: bytes
    """The SOA's primary server, a wire name."""
    max_hosts: int
    closest: bool
    targeting: Targeting
    labels: Mapping[str, Label]
    names: frozenset[str]
    """The keys of all names that exist: labels, those above them, and the names of variants."""
    cuts: frozenset[str]
    """The keys of delegated names."""
    warnings: tuple[str, ...]
    """One line each, with its place."""
    document: JsonDocument = field(repr=False, compare=False)

    def ttl_of(self, label: Label, rdtype: int) -> int:
        """The TTL of a label's records, in seconds."""
        return label.ttl or (NS_TTL if rdtype == NS else self.ttl)

    @property
    def soa_ttl(self) -> int:
        """Seconds."""
        return min(10 * self.ttl, SOA_TTL_MAX) or SOA_TTL_OF_ZERO

    @property
    def soa(self) -> bytes:
        """The SOA's RDATA."""
        return self.primary + self.contact + _SOA_NUMBERS.pack(self.serial, *SOA_TIMES)

    def error(self, place: JsonPath, reason: str) -> ZoneError:
        """An error about something in the file."""
        return self.document.errors([Problem(place, reason)])[0]


def draw_weights(rdtype: int, weights: Sequence[int]) -> Sequence[int] | None:
    """The weights that records are drawn by; None: all of them are answered, undrawn."""
    if any(weights):
        return weights
    return [1] * len(weights) if rdtype in ALWAYS_DRAWN else None
