"""NTP reference IDs (RFC 5905 section 7.3): an IPv4 address, or up to four characters."""

from __future__ import annotations

from ipaddress import IPv4Address


def refid_number(text: str) -> int:
    """A reference ID as a number in host order: a dotted quad, or 1 to 4 printable characters.

    Raises ValueError, with the fix, for anything else.
    """
    if 1 <= len(text) <= 4 and text.isascii() and text.isprintable():
        return int.from_bytes(text.encode().ljust(4, b"\0"))
    try:
        return int(IPv4Address(text))
    except ValueError:
        raise ValueError(
            "write 1 to 4 ASCII characters or a dotted quad, such as 127.127.1.1"
        ) from None


def refid_text(refid: int, stratum: int) -> str:
    """A reference ID as text: characters at stratum 1, an address above (RFC 5905 section 7.3)."""
    if refid == 0:
        return ""
    letters = refid.to_bytes(4).rstrip(b"\0")
    if stratum <= 1 and all(0x20 <= letter < 0x7F for letter in letters):
        return letters.decode("ascii")
    return str(IPv4Address(refid))
