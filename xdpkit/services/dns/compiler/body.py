"""The sections after a question, built record by record, and the image made of them.

An image is made for one question name. If longer questions may use it too (wildcards, denials,
referrals), it includes the positions of its compression pointers: see ``struct zone_image``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from xdpkit._core import _limits as limits
from xdpkit._core._limits import DNS_ALIASES_END, ZONE_IMAGE_SECURE_AT, ZONE_NAME_MAX
from xdpkit._core._rrset import RRset
from xdpkit.services.dns.compiler.chain import FIXED, Proof
from xdpkit.services.dns.zonefile.zone import find, parent, signatures

IMAGE = struct.Struct("<2B6s4H2BHI")
"""struct zone_image: header byte 2, rcode, counts, length, trimmed, authority, fixups, base, kind,
glue, secure."""
SECURE_AT = ZONE_IMAGE_SECURE_AT

QR, AA = 0x80, 0x04
NOERROR, NXDOMAIN = 0, 3

QUESTION = 12
"""Where the question's name begins: after the header, RFC 1035 section 4.1."""

NAME_MAX = ZONE_NAME_MAX

POINTER_END = DNS_ALIASES_END
"""No pointer leads to a name from here on. A pointer has 14 bits (RFC 1035 section 4.1.4), and a
longer question, or DNAMEs before the image (``DNS_ALIASES_END``), can move it by as much again."""

BODY_MAX = 65535 - QUESTION - NAME_MAX - 4 - 11
"""The most bytes of a body that fits a message with any question and an OPT."""

COMPRESSED = limits.COMPRESSED_NAMES
"""RDATA that may hold compressed names (RFC 3597 section 4: the types of RFC 1035)."""


class ImageTooLarge(ValueError):
    """The reply does not fit a DNS message (64 KiB); the argument is its size less the question."""


class Kind(IntEnum):
    """enum zone_kind."""

    NOERROR = limits.ZONE_KIND_NOERROR
    NODATA = limits.ZONE_KIND_NODATA
    NXDOMAIN = limits.ZONE_KIND_NXDOMAIN
    REFERRAL = limits.ZONE_KIND_REFERRAL


@dataclass(frozen=True, slots=True)
class Image:
    """The images of an answer, for a question without and with the DO bit.

    ``secure`` is None if nothing is signed.
    """

    plain: bytes
    secure: bytes | None = None


class Body:
    """The bytes after a question for ``qname``.

    ``shared``: the question may be for another name below ``qname``. So it may be at a wildcard,
    where the owner of the answer is the question's name, not the wildcard. With ``do``, signatures
    are included.
    """

    def __init__(self, qname: bytes, shared: bool = False, do: bool = False) -> None:
        self.qname = qname
        self.wildcard = qname.startswith(b"\1*")
        self.shared = shared
        self.do = do
        self.relocatable = shared or self.wildcard
        self.bytes = bytearray()
        self.counts = [0, 0, 0]
        self.fixups: list[int] = []
        self.proofs: list[Proof] = []
        self._suffixes: dict[bytes, int] | None = None
        self._authority: int | None = None
        self._trimmed: tuple[int, int] | None = None

    def _suffix_table(self) -> dict[bytes, int]:
        """Offsets of the suffixes written so far; created for the first name that needs it."""
        if self._suffixes is None:
            self._suffixes = {}
            name, at = self.qname, QUESTION
            while len(name) > 1:
                if not (self.wildcard and name is self.qname):
                    self._suffixes[name] = at
                at += name[0] + 1
                name = parent(name)
        return self._suffixes

    def _add_name(self, name: bytes) -> None:
        """Appends a name, replacing the longest suffix written before with a pointer."""
        table, out = self._suffix_table(), self.bytes
        # C inserts proofs before the additional section, so nothing may point into that.
        remember = not (self.do and self.wildcard and self._authority is not None)
        while len(name) > 1:
            key = name.lower()
            known = table.get(key)
            if known is not None:
                if self.relocatable:
                    self.fixups.append(len(out))
                out += (0xC000 | known).to_bytes(2, "big")
                return
            at = QUESTION + len(self.qname) + 4 + len(out)
            if at < POINTER_END and remember:
                table[key] = at
            out += name[: name[0] + 1]
            name = parent(name)
        out += b"\0"

    def add(self, section: int, owner: bytes | None, rrset: RRset, ttl: int | None = None) -> None:
        """Appends an RRset to section 0 (answer), 1 (authority) or 2 (additional).

        The owner None is the question's name as received. ``ttl`` replaces the RRset's.
        """
        out = self.bytes
        if section == 2 and self._authority is None:
            self._authority = len(out)
        template = COMPRESSED.get(rrset.rdtype)
        for rdata in rrset.rdatas:
            if owner is None:
                out += b"\xc0\x0c"
            else:
                self._add_name(owner)
            out += FIXED.pack(rrset.rdtype, 1, rrset.ttl if ttl is None else ttl, len(rdata))
            if template is None:
                out += rdata
                continue
            start = len(out)
            self._add_rdata(rdata, *template)
            out[start - 2 : start] = (len(out) - start).to_bytes(2, "big")
        self.counts[section] += len(rrset.rdatas)

    def _add_rdata(self, rdata: bytes, skip: int, names: int) -> None:
        self.bytes += rdata[:skip]
        at = skip
        for _ in range(names):
            end = at
            while rdata[end]:
                end += rdata[end] + 1
            self._add_name(rdata[at : end + 1])
            at = end + 1
        self.bytes += rdata[at:]

    def add_type(
        self,
        section: int,
        owner: bytes | None,
        rrsets: list[RRset],
        rdtype: int,
        ttl: int | None = None,
    ) -> None:
        """Appends the RRset of a type, and with ``do`` its signatures."""
        for rrset in find(rrsets, rdtype):
            self.add(section, owner, rrset, ttl)
        if self.do:
            for rrset in signatures(rrsets, rdtype):
                self.add(section, owner, rrset, ttl)

    def prove(self, proofs: Iterable[Proof]) -> None:
        """Appends proofs to the authority section, each once."""
        for proof in proofs:
            # By identity: a zone and its parent can have records with the same owner.
            if any(proof is have for have in self.proofs):
                continue
            self.proofs.append(proof)
            for rrset in proof.rrsets:
                self.add(1, proof.owner, rrset)

    def begin_optional(self) -> None:
        """Records added from here on may be left out of a reply that would be too long."""
        self._trimmed = len(self.bytes), self.counts[2]

    def image(self, kind: Kind, rcode: int = NOERROR, authoritative: bool = True) -> bytes:
        """The image's bytes, a multiple of 8; raises ImageTooLarge."""
        trimmed, glue = self._trimmed or (len(self.bytes), self.counts[2])
        if len(self.bytes) > BODY_MAX:
            del self.bytes[trimmed:]
            self.counts[2] = glue
            self.fixups = [at for at in self.fixups if at < trimmed]
        length = len(self.bytes)
        if length > BODY_MAX:
            raise ImageTooLarge(length)
        head = IMAGE.pack(
            QR | AA if authoritative else QR,
            rcode,
            struct.pack(">3H", *self.counts),
            length,
            trimmed,
            length if self._authority is None else min(self._authority, length),
            len(self.fixups),
            len(self.qname),
            kind,
            glue,
            0,
        )
        data = head + self.bytes + bytes(length % 2)
        data += struct.pack(f"<{len(self.fixups)}H", *self.fixups)
        return data + bytes(-len(data) % 8)
