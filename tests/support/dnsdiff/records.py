"""A reader of DNS messages that is fast for records it has seen before, and strict for all.

dnspython parses each record once; later ones with the same bytes are the same object, so that sets
of records compare as fast as sets of numbers.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype as t

FIXED = struct.Struct("!HHIH")
HEADER = 12

# RDATA that may hold compressed names: bytes before the first, number of names. RFC 3597 section 4
# allows it only for the types of RFC 1035.
COMPRESSED = {t.NS: (0, 1), t.MD: (0, 1), t.MF: (0, 1), t.CNAME: (0, 1), t.SOA: (0, 2)}
COMPRESSED |= {t.MB: (0, 1), t.MG: (0, 1), t.MR: (0, 1), t.PTR: (0, 1), t.MINFO: (0, 2)}
COMPRESSED |= {t.MX: (2, 1)}

# Types whose text is compared in lower case: it holds names, which some servers lower-case.
NAMED = {*COMPRESSED, t.RP, t.AFSDB, t.RT, t.KX, t.SRV, t.NAPTR, t.SVCB, t.HTTPS, t.DNAME}
NAMED |= {t.NSEC, t.NSEC3}


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """A record; equal content is the same object."""

    name: dns.name.Name
    rdtype: int
    ttl: int
    text: str

    def data(self) -> tuple[int, int, str]:
        """All but the owner."""
        return self.rdtype, self.ttl, self.text


# Both grow with the zones, not with the number of messages.
_by_bytes: dict[tuple[bytes, bytes, bytes], Record] = {}
_by_content: dict[tuple[bytes, int, int, str], Record] = {}


def _interned(owner: bytes, fixed: bytes, rdata: bytes) -> Record:
    found = _by_bytes.get((owner, fixed, rdata))
    if found is None:
        found = _by_bytes[owner, fixed, rdata] = _parsed(owner, fixed, rdata)
    return found


def _parsed(owner: bytes, fixed: bytes, rdata: bytes) -> Record:
    rdtype, rdclass, ttl = struct.unpack("!HHI", fixed)
    data = dns.rdata.from_wire(rdclass, rdtype, rdata, 0, len(rdata))
    text = data.to_text()
    if rdtype in NAMED:
        text = text.lower()
    elif rdtype == t.RRSIG:
        # Up to the signer's name; the signature is case-sensitive.
        parts = text.split(" ")
        text = " ".join([part.lower() for part in parts[:8]] + parts[8:])
    if rdclass != dns.rdataclass.IN:
        text = f"{dns.rdataclass.to_text(rdclass)} {text}"
    key = owner, rdtype, ttl, text
    if key not in _by_content:
        name, _ = dns.name.from_wire(owner, 0)
        _by_content[key] = Record(name, rdtype, ttl, text)
    return _by_content[key]


class Reader:
    """Reads a message from start to end; anything malformed raises an exception."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.header: tuple[int, ...] = struct.unpack_from("!6H", message)
        self.at = HEADER
        self.twice: set[Record] = set()
        self._names: dict[int, bytes] = {}

    def question(self) -> bytes:
        """The bytes of the question section."""
        for _ in range(self.header[2]):
            self.name()
            self.at += 4
        return self.message[HEADER : self.at]

    def name(self) -> bytes:
        """The next name, uncompressed, in its original case; advances past it."""
        labels, self.at = self._name(self.at)
        return labels

    def _name(self, at: int) -> tuple[bytes, int]:
        message, start, parts = self.message, at, []
        while (length := message[at]) and length < 64:
            parts.append(message[at : at + 1 + length])
            at += 1 + length
        if not length:
            return b"".join(parts) + b"\0", at + 1
        assert length >= 0xC0, "unknown label type"
        to = (length & 0x3F) << 8 | message[at + 1]
        assert HEADER <= to < start, "a pointer that does not point backward"
        if to not in self._names:
            self._names[to] = self._name(to)[0]
        return b"".join(parts) + self._names[to], at + 2

    def record(self) -> tuple[bytes, bytes, bytes]:
        """The next record: owner; type, class and TTL; uncompressed RDATA."""
        owner = self.name()
        fixed = self.message[self.at : self.at + 8]
        rdtype, _, _, length = FIXED.unpack_from(self.message, self.at)
        self.at += FIXED.size
        end = self.at + length
        assert end <= len(self.message), "a record beyond the end of the message"
        if rdtype not in COMPRESSED:
            rdata, self.at = self.message[self.at : end], end
            return owner, fixed, rdata
        skip, names = COMPRESSED[rdtype]
        parts = [self.message[self.at : self.at + skip]]
        self.at += skip
        parts += [self.name() for _ in range(names)]
        parts.append(self.message[self.at : end])
        assert self.at <= end, "RDATA longer than RDLENGTH"
        self.at = end
        return owner, fixed, b"".join(parts)

    def section(self, index: int) -> tuple[set[Record], list[tuple[bytes, bytes, bytes]]]:
        """The records of a section, 1 to 3, and its OPTs; duplicates are added to ``twice``."""
        found, opts = set(), []
        for _ in range(self.header[2 + index]):
            owner, fixed, rdata = self.record()
            if fixed[:2] == b"\0\x29":
                opts.append((owner, fixed, rdata))
                continue
            record = _interned(owner.lower(), fixed, rdata)
            if record in found:
                self.twice.add(record)
            found.add(record)
        return found, opts
