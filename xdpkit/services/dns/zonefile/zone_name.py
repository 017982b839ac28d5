"""The name of the zone in a file: a file is called as its zone."""

from __future__ import annotations

import re
from pathlib import Path

from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.sources import JSON_SUFFIX, SUFFIX
from xdpkit.services.dns.zonefile.zone import ROOT

# Labels of 63 bytes, and 255 in all with the root's: RFC 1035 section 2.3.4.
_PLAIN_NAME = re.compile(r"(?!.{254})[-\w]{1,63}(?:\.[-\w]{1,63})*\.?", re.ASCII)


def plain_name(stem: str) -> bytes | None:
    """The lower-cased wire name of plain text; None for what needs a closer look."""
    if not _PLAIN_NAME.fullmatch(stem):
        return None
    labels = stem.lower().encode().removesuffix(b".").split(b".")
    return b"".join([b"%c%b" % (len(label), label) for label in labels]) + ROOT


def zone_name(path: Path) -> bytes:
    """The lower-cased wire name of the zone in a file; raises ZoneError if the name is invalid."""
    stem = path.name.removesuffix(SUFFIX)
    if plain := plain_name(stem):
        return plain
    # Here, since few names come so far: it takes as long to import as all else of the zones' room.
    import dns.exception
    import dns.name

    try:
        if not stem:
            # dnspython's name of the root.
            raise dns.name.EmptyLabel
        name = dns.name.from_text(stem)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ZoneError(path, f"{stem!r} is not a domain name ({error}); rename the file") from None
    wire = name.to_digestable()
    if name.is_wild():
        raise ZoneError(
            path, "a zone name cannot be a wildcard; put its records into the zone above"
        )
    return wire


def json_zone_name(path: Path) -> bytes:
    """The lower-cased wire name of the zone in a file; raises ZoneError if the name is invalid."""
    try:
        return zone_name(path.with_name(path.name[: -len(JSON_SUFFIX)] + SUFFIX))
    except ZoneError as error:
        raise ZoneError(path, error.reason) from None
