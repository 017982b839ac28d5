"""RDATA of common types in its plain form: words that need no quotes, escapes or parentheses.

Each function returns the wire format, or None for what it is not sure of, right or wrong: then
dnspython reads it, and reports the errors.
"""

from __future__ import annotations

import base64
import binascii
import re
import socket
import struct
from collections.abc import Callable
from functools import lru_cache

import dns.exception
import dns.rdatatype
from dns.rdtypes.ANY import RRSIG as signatures
from dns.rdtypes.util import Bitmap

from xdpkit.services.dns.zonefile.zone import (
    AAAA,
    CNAME,
    DNAME,
    DS,
    MX,
    NS,
    NSEC,
    NSEC3,
    NSEC3PARAM,
    RRSIG,
    SOA,
    SRV,
    A,
)

PTR, TXT, DNSKEY = 12, 16, 48

NAME_MAX, LABEL_MAX = 255, 63

# A longer line is not common; so no RDATA here comes near to any limit.
LINE_PLAIN = 16384

# dnspython lets some values above have another meaning: RFC 2181 section 8.
TTL_PLAIN = 0x7FFFFFFF

Plain = tuple[int, bytes]
"""The type that an RRSIG covers, else 0, and the RDATA."""

_NAME = re.compile(r"[-\w.]+", re.ASCII)
_TEXTS = re.compile(r'(?:"([ !#-\[\]-~]{0,255})"|([!#-\[\]-~]{1,255}))(?:[ \t]+|$)')
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_HASH = re.compile(r"[0-9a-vA-V]{32}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")

# RFC 4034 section 5.1.3 and appendix A.2, RFC 6605 section 2.
_DIGESTS = {1: 20, 2: 32, 4: 48}


def wire_name(text: str, origin: bytes) -> bytes | None:
    """A name in wire format, under ``origin`` if it is relative; None if it is not a plain one."""
    if text == "@":
        return origin
    labels = text.encode().split(b".")
    if not labels[-1]:
        labels.pop()
        origin = b"\0"
    sizes = [len(label) for label in labels]
    if not sizes or not 0 < min(sizes) <= max(sizes) <= LABEL_MAX:
        return None
    name = b"".join([b"%c%b" % part for part in zip(sizes, labels, strict=True)]) + origin
    return name if len(name) <= NAME_MAX else None


@lru_cache(maxsize=4096)
def _target(text: str, origin: bytes) -> bytes | None:
    """A name in RDATA: many records have the same."""
    return wire_name(text, origin) if _NAME.fullmatch(text) else None


def _numbers(words: list[str], most: list[int]) -> list[int] | None:
    """As many numbers, each at most as large as these."""
    if not all(map(_NUMBER.fullmatch, words)):
        return None
    numbers = [int(word) for word in words]
    return numbers if all(map(int.__le__, numbers, most)) else None


def _a(text: str, _: bytes) -> Plain | None:
    try:
        return 0, socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return None


def _aaaa(text: str, _: bytes) -> Plain | None:
    try:
        return 0, socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return None


def _name(text: str, origin: bytes) -> Plain | None:
    name = _target(text, origin)
    return None if name is None else (0, name)


_SOA = struct.Struct("!5I")
_SOA_MOST = [0xFFFFFFFF, *[TTL_PLAIN] * 4]


def _soa(text: str, origin: bytes) -> Plain | None:
    words = text.split()
    if len(words) != 7:
        return None
    numbers = _numbers(words[2:], _SOA_MOST)
    first, second = _target(words[0], origin), _target(words[1], origin)
    if numbers is None or first is None or second is None:
        return None
    return 0, first + second + _SOA.pack(*numbers)


def _numbered(count: int) -> Callable[[str, bytes], Plain | None]:
    """A type of so many 16-bit numbers and a name."""
    packed, most = struct.Struct(f"!{count}H"), [0xFFFF] * count

    def read(text: str, origin: bytes) -> Plain | None:
        words = text.split()
        name = _target(words[-1], origin)
        numbers = _numbers(words[:-1], most) if len(words) == count + 1 else None
        return None if name is None or numbers is None else (0, packed.pack(*numbers) + name)

    return read


def _txt(text: str, _: bytes) -> Plain | None:
    parts: list[bytes] = []
    at = 0
    while at < len(text):
        match = _TEXTS.match(text, at)
        if match is None:
            return None
        at = match.end()
        part = (match[1] if match[2] is None else match[2]).encode()
        parts.append(bytes((len(part),)) + part)
    return (0, b"".join(parts)) if parts else None


_DS = struct.Struct("!HBB")


def _ds(text: str, _: bytes) -> Plain | None:
    words = text.split()
    numbers = _numbers(words[:3], [0xFFFF, 0xFF, 0xFF]) if len(words) > 3 else None
    digest = "".join(words[3:])
    if numbers is None or not _HEX.fullmatch(digest):
        return None
    if _DIGESTS.get(numbers[2]) != len(digest) // 2:
        return None
    return 0, _DS.pack(*numbers) + bytes.fromhex(digest)


def _base64(words: list[str]) -> bytes | None:
    try:
        return base64.b64decode("".join(words), validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _dnskey(text: str, _: bytes) -> Plain | None:
    words = text.split()
    numbers = _numbers(words[:3], [0xFFFF, 0xFF, 0xFF]) if len(words) > 3 else None
    key = _base64(words[3:])
    return None if numbers is None or key is None else (0, _DS.pack(*numbers) + key)


_RRSIG = struct.Struct("!HBBIIIH")
_RRSIG_MOST = [0xFF, 0xFF, TTL_PLAIN, 0xFFFF]


def _rrsig(text: str, origin: bytes) -> Plain | None:
    words = text.split()
    if len(words) < 9:
        return None
    covers = _type(words[0])
    numbers = _numbers([*words[1:4], words[6]], _RRSIG_MOST)
    ends, begins = _time(words[4]), _time(words[5])
    signer, signature = _target(words[7], origin), _base64(words[8:])
    if numbers is None or covers is None or ends is None or begins is None:
        return None
    if signer is None or signature is None:
        return None
    algorithm, labels, ttl, tag = numbers
    packed = _RRSIG.pack(covers, algorithm, labels, ttl, ends, begins, tag)
    return covers, packed + signer + signature


@lru_cache(maxsize=1024)
def _type(text: str) -> int | None:
    try:
        return int(dns.rdatatype.from_text(text)) or None
    except (dns.exception.DNSException, ValueError):
        return None


@lru_cache(maxsize=1024)
def _time(text: str) -> int | None:
    """Seconds since 1970."""
    try:
        found = int(signatures.sigtime_to_posixtime(text))  # type: ignore[attr-defined, no-untyped-call]
    except (dns.exception.DNSException, ValueError):
        return None
    return found if 0 <= found <= 0xFFFFFFFF else None


@lru_cache(maxsize=1024)
def _bitmap(words: tuple[str, ...]) -> bytes | None:
    """Types in wire format, RFC 4034 section 4.1.2."""
    types = [kind for kind in map(_type, words) if kind is not None]
    if not types or len(types) < len(words):
        return None
    windows = Bitmap.from_rdtypes([dns.rdatatype.RdataType.make(k) for k in types])
    return b"".join(bytes((at, len(bits))) + bits for at, bits in windows.windows)


def _nsec(text: str, origin: bytes) -> Plain | None:
    first, *words = text.split()
    following, types = _target(first, origin), _bitmap(tuple(words))
    return None if following is None or types is None else (0, following + types)


_NSEC3 = struct.Struct("!BBH")
_NSEC3_MOST = [0xFF, 0xFF, 0xFFFF]


def _parameters(words: list[str]) -> bytes | None:
    """What NSEC3 and NSEC3PARAM begin with: RFC 5155 sections 3.2 and 4.2."""
    numbers = _numbers(words[:3], _NSEC3_MOST) if len(words) > 3 else None
    if numbers is None:
        return None
    salt = "" if words[3] == "-" else words[3]
    if salt and (not _HEX.fullmatch(salt) or len(salt) > 2 * 255):
        return None
    return _NSEC3.pack(*numbers) + bytes((len(salt) // 2,)) + bytes.fromhex(salt)


def _nsec3(text: str, _: bytes) -> Plain | None:
    words = text.split()
    front = _parameters(words)
    if front is None or len(words) < 6 or not _HASH.fullmatch(words[4]):
        return None
    types = _bitmap(tuple(words[5:]))
    # RFC 5155 section 3.3: base32 of RFC 4648 section 7, which has the digits of base 32.
    following = bytes((20,)) + int(words[4], 32).to_bytes(20, "big")
    return None if types is None else (0, front + following + types)


def _nsec3param(text: str, _: bytes) -> Plain | None:
    words = text.split()
    front = _parameters(words)
    return None if front is None or len(words) != 4 else (0, front)


Read = Callable[[str, bytes], "Plain | None"]

TYPES: dict[str, tuple[int, Read]] = {
    "A": (A, _a),
    "AAAA": (AAAA, _aaaa),
    "CNAME": (CNAME, _name),
    "DNAME": (DNAME, _name),
    "DNSKEY": (DNSKEY, _dnskey),
    "DS": (DS, _ds),
    "MX": (MX, _numbered(1)),
    "NS": (NS, _name),
    "NSEC": (NSEC, _nsec),
    "NSEC3": (NSEC3, _nsec3),
    "NSEC3PARAM": (NSEC3PARAM, _nsec3param),
    "PTR": (PTR, _name),
    "RRSIG": (RRSIG, _rrsig),
    "SOA": (SOA, _soa),
    "SRV": (SRV, _numbered(3)),
    "TXT": (TXT, _txt),
}
"""By mnemonic: the number, and what reads its data under an origin."""
