"""Compiles the JSON zones of a zone directory, which GeoDNS's files are.

A compiler that has none does not import it: it would take as long as reading most zones.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from xdpkit.config.geo import GeoFiles
from xdpkit.escape import escape
from xdpkit.services.dns.compiler.geography import Geography
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.view import View
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.zonefile.sources import Reading, Source
from xdpkit.services.dns.zonefile.zone import ZoneWarning

_PLACE = re.compile(r"(\d+)(?::\d+)?: ")


class JsonZone(NamedTuple):
    """One that was read, and the view that it needs."""

    zone: GeoZone
    view: View


class JsonZones:
    """Reads and compiles JSON zones, with what is known of locations."""

    def __init__(self, files: GeoFiles, cache: Path | None, allow: Callable[[int], None]) -> None:
        self._files = files
        self._geography = Geography(files, cache, allow)

    @property
    def sources(self) -> tuple[Source, ...]:
        """What all of these zones were read from besides their own files."""
        return self._geography.sources

    def read(self, path: Path, reading: Reading) -> JsonZone:
        """Reads one. Raises ZoneError."""
        zone = read_json_zone(path, self._files.relaxed, reading, self._files.max_hosts)
        return JsonZone(zone, self._geography.view(zone))

    def compile(self, made: JsonZone, fd: int, at: int) -> int:
        """Compiles one into the file ``fd`` from ``at`` on; returns its size. Raises ZoneError."""
        place = self._geography.place
        return compile_geo(made.zone, fd, at, classes=made.view, place=place)

    def warnings(self, made: JsonZone) -> dict[str, Any]:
        """What a zone's report has of its warnings, as those of a master file are."""
        found = []
        for line in made.zone.warnings:
            text = line.removeprefix(f"{escape(str(made.zone.path))}:")
            place = _PLACE.match(text)
            number, text = (int(place[1]), text[place.end() :]) if place else (0, text.lstrip())
            found.append(ZoneWarning(str(made.zone.path), number, text))
        found += [ZoneWarning(str(made.zone.path), 0, text) for text in made.view.warnings]
        return {"warnings": found, "unlisted": 0}
