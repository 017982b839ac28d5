"""A zone as its master file has it, and functions on wire names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from xdpkit._core._rrset import RRset

A, NS, CNAME, SOA, PTR, MX, AAAA, SRV, DNAME, OPT, DS = 1, 2, 5, 6, 12, 15, 28, 33, 39, 41, 43
RRSIG, NSEC, DNSKEY, NSEC3, NSEC3PARAM, SVCB, HTTPS = 46, 47, 48, 50, 51, 64, 65

ROOT = b"\0"

_PLAIN = re.compile(rb"[A-Za-z0-9_-]*")

# What has a meaning in master files (RFC 1035 section 5.1), and "$", as dnspython escapes them.
_ESCAPED = {byte: "\\%03d" for byte in (*range(0x21), *range(0x7F, 256))}
_ESCAPED |= dict.fromkeys(b'"().;\\@$', "\\%c")

# Warnings of a zone that are kept; a file of any size must not make more.
WARNINGS_MAX = 100


class ZoneWarning(NamedTuple):
    """What loads, but is probably a mistake; a line of 0 is none."""

    path: str
    line: int
    text: str


@dataclass
class Zone:
    """One zone as its file has it."""

    origin: bytes
    path: Path
    nodes: dict[bytes, list[RRset]] = field(default_factory=dict)
    size: int = 0
    """Bytes of text that it was read from: includes each time, and what $GENERATE made."""
    names: int = 0
    """Owner names in the file, counted before tree.py modifies ``nodes``."""
    warnings: list[ZoneWarning] = field(default_factory=list)
    """The first of them, for ``check``."""
    unlisted: int = 0
    """How many more there are."""

    def warn(self, path: str, line: int, text: str) -> None:
        """Notes what is probably a mistake, but loads: what was found, and what to write."""
        if len(self.warnings) < WARNINGS_MAX:
            self.warnings.append(ZoneWarning(path, line, text))
        else:
            self.unlisted += 1

    @property
    def soa(self) -> RRset:
        """The SOA; read_zone() ensures that there is one."""
        return next(rrset for rrset in self.nodes[self.origin] if rrset.rdtype == SOA)

    @property
    def serial(self) -> int:
        """The SOA serial; the RDATA ends in five 32-bit numbers (RFC 1035 section 3.3.13)."""
        return int.from_bytes(self.soa.rdatas[0][-20:-16], "big")

    @property
    def negative_ttl(self) -> int:
        """Seconds that a denial may be cached: RFC 2308 section 5."""
        return min(self.soa.ttl, int.from_bytes(self.soa.rdatas[0][-4:], "big"))


def find(rrsets: Iterable[RRset], rdtype: int) -> list[RRset]:
    """The RRsets of a type: one or none, but RRSIGs have one RRset for each covered type."""
    return [rrset for rrset in rrsets if rrset.rdtype == rdtype]


def signatures(rrsets: Iterable[RRset], rdtype: int) -> list[RRset]:
    """The RRSIGs of the RRset of a type."""
    return [rrset for rrset in rrsets if rrset.rdtype == RRSIG and rrset.covers == rdtype]


def name_text(name: bytes) -> str:
    """A wire name as text (RFC 1035 section 5.1), without the final dot (except for the root)."""
    labels = labels_of(name)
    if all(map(_PLAIN.fullmatch, labels)):
        return b".".join(labels).decode() or "."
    return ".".join(map(_label_text, labels))


def _label_text(label: bytes) -> str:
    return "".join([_ESCAPED.get(byte, "%c") % byte for byte in label])


def labels_of(name: bytes) -> list[bytes]:
    """The labels of a wire name, without the root's."""
    at, labels = 0, list[bytes]()
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += length + 1
    return labels


def parent(name: bytes) -> bytes:
    """The wire name without its first label; for the root, the empty string."""
    return name[name[0] + 1 :]


def host_at(rdata: bytes, at: int) -> bytes:
    """The wire name that begins at an offset in an RDATA."""
    end = at
    while rdata[end]:
        end += rdata[end] + 1
    return rdata[at : end + 1]


def is_below(name: bytes, ancestor: bytes) -> bool:
    """Whether the wire name is ``ancestor`` or under it."""
    while len(name) > len(ancestor):
        name = parent(name)
    return name == ancestor
