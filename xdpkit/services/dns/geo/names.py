"""Names and label keys of a JSON zone: as text, and in wire format."""

from __future__ import annotations

import re

import dns.exception
import dns.name

from xdpkit.services.dns.geo.targets import bracketed
from xdpkit.services.dns.zonefile.zone import ROOT

# Bytes, those of a name with the root's: RFC 1035 section 2.3.4.
LABEL_MAX, NAME_MAX = 63, 255

# Names that text and wire format have in common; brackets and colons of addresses among them.
_PLAIN = re.compile(r"[-\w.*\[\]:/]+", re.ASCII)

_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (dns.name.LabelTooLong, f"has a label of more than {LABEL_MAX} bytes: shorten it"),
    (dns.name.NameTooLong, f"is a name of more than {NAME_MAX} bytes: shorten it"),
    (dns.name.EmptyLabel, "has an empty label, from two dots in a row or one in front: remove one"),
    (dns.name.BadEscape, r"has an invalid escape: write \DDD with three digits up to 255"),
)


def absolute(text: str, origin: bytes = ROOT) -> bytes:
    """A name in wire format; ``origin`` completes one without a final dot.

    Raises ValueError with the reason and the fix.
    """
    if not text:
        raise ValueError("is empty: write a name")
    if _PLAIN.fullmatch(text) and text != "@" and (wire := _plain_wire(text, origin)):
        return wire
    try:
        name = dns.name.from_text(text, dns.name.from_wire(origin, 0)[0])
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValueError(_reason(error)) from None
    return name.to_wire() or ROOT


def label_key(text: str) -> str:
    """A label's key in lower case, escapes and addresses in their canonical form.

    Raises ValueError with the reason and the fix. A zone's apex is the empty key.
    """
    if not text:
        return ""
    if text.endswith(".") and not text.endswith("\\."):
        raise ValueError("ends in a dot, but labels are relative to the zone: remove the dot")
    key = text.lower()
    if key.endswith("]") and "[" in key:
        at = key.rfind("[")
        return key[:at] + (bracketed(key[at:]) or key[at:])
    if not _PLAIN.fullmatch(key) or _plain_wire(key, ROOT) is None:
        try:
            name = dns.name.from_text(text, None)
        except (dns.exception.DNSException, UnicodeError) as error:
            raise ValueError(_reason(error)) from None
        key = dns.name.Name(tuple(map(bytes.lower, name.labels))).to_text()
    return key


def key_wire(key: str, origin: bytes) -> bytes:
    """The wire name of a label; raises ValueError with the reason if it is too long."""
    return absolute(key, origin) if key else origin


def above(key: str) -> str:
    """The key of the name above."""
    if "\\" not in key:
        return key.partition(".")[2]
    at = 0
    while at < len(key) and key[at] != ".":
        at += 2 if key[at] == "\\" else 1
    return key[at + 1 :]


def _plain_wire(text: str, origin: bytes) -> bytes | None:
    """A name that needs no escapes; None if something about it is not right."""
    labels = text.encode().split(b".")
    if not labels[-1]:
        labels.pop()
        origin = ROOT
    sizes = [len(label) for label in labels]
    if not sizes or not 0 < min(sizes) <= max(sizes) <= LABEL_MAX:
        return None
    name = b"".join([b"%c%b" % part for part in zip(sizes, labels, strict=True)]) + origin
    return name if len(name) <= NAME_MAX else None


def _reason(error: Exception) -> str:
    for kind, text in _REASONS:
        if isinstance(error, kind):
            return text
    return "cannot be written as a domain name: write its xn-- form"
