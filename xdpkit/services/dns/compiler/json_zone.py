"""Compiles the JSON zones of a zone directory, which GeoDNS's files are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xdpkit.errors import ZoneError
from xdpkit.escape import escape
from xdpkit.reach import reach
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.zonefile.sources import JSON_SUFFIX, SUFFIX, is_json_zone
from xdpkit.services.dns.zonefile.zone import ZoneWarning

_PLACE = re.compile(r"(\d+)(?::\d+)?: ")


def check_alone(path: Path) -> None:
    """Raises ZoneError if a zone has a master file and a JSON zone: which one is meant?"""
    suffix = SUFFIX if is_json_zone(path.name) else JSON_SUFFIX
    other = path.with_name(path.name[: path.name.rindex(".")] + suffix)
    if os.path.lexists(reach(other)):
        raise ZoneError(path, f"the same zone as {other.name}; remove one of them")


def zone_warnings(zone: GeoZone) -> list[ZoneWarning]:
    """A zone's warnings as those of a master file are."""
    found = []
    for line in zone.warnings:
        text = line.removeprefix(f"{escape(str(zone.path))}:")
        place = _PLACE.match(text)
        number, text = (int(place[1]), text[place.end() :]) if place else (0, text.lstrip())
        found.append(ZoneWarning(str(zone.path), number, text))
    return found


def write_block(fd: int, at: int, block: bytes) -> None:
    """Writes a view's block into the file of arenas. Raises OSError."""
    view = memoryview(block)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
