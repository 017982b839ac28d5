"""Compiles the JSON zones of a zone directory, which GeoDNS's files are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xdpkit._core._geo_view import TooManyError
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.escape import escape
from xdpkit.reach import reach
from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.made_zone import MadeZone
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.locations import Locations, location_files, read_locations
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.view import View, Views
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.zonefile.sources import JSON_SUFFIX, SUFFIX, Reading, is_json_zone
from xdpkit.services.dns.zonefile.zone import ZoneWarning

_PLACE = re.compile(r"(\d+)(?::\d+)?: ")


class JsonZones:
    """Compiles one after another; locations are read once, for the first that needs them.

    ``databases`` is a directory, ``own`` a map of an operator's, ``cache`` the directory that keeps
    what is read of them.
    """

    def __init__(
        self,
        relax: bool = False,
        databases: Path | None = None,
        own: Path | None = None,
        cache: Path | None = None,
    ) -> None:
        self._relax, self._databases, self._own, self._cache = relax, databases, own, cache
        self._locations: Locations | None = None
        self._views: Views | None = None
        self._written: dict[bytes, tuple[int, int]] = {}
        """Where views are, by their ids: many zones may have the same."""

    @staticmethod
    def check_alone(path: Path) -> None:
        """Raises ZoneError if a zone has a master file and a JSON zone: which one is meant?"""
        suffix = SUFFIX if is_json_zone(path.name) else JSON_SUFFIX
        other = path.with_name(path.name[: path.name.rindex(".")] + suffix)
        if os.path.lexists(reach(other)):
            raise ZoneError(path, f"the same zone as {other.name}; remove one of them")

    def compile(self, path: Path, reading: Reading, fd: int, at: int) -> MadeZone:
        """Writes arena and view into ``fd`` from byte ``at`` on.

        Raises ZoneError, also for a location database that is no good: whoever has an older arena
        goes on with it.
        """
        zone = read_json_zone(path, self._relax, reading)
        warnings = zone_warnings(zone)
        found = self._view(zone)
        if found is None:
            size = compile_geo(zone, fd, at)
            return MadeZone(zone.origin, size, at + size, (), warnings)
        locations, view = found
        size = compile_geo(zone, fd, at, classes=view, place=locations.place)
        end = at + size
        if view.id not in self._written:
            start = next_start(end)
            end = start + len(view.block)
            _write(fd, view.block, start)
            self._written[view.id] = (start, len(view.block))
        warnings += [ZoneWarning(str(path), 0, text) for text in view.warnings]
        place = self._written[view.id]
        return MadeZone(zone.origin, size, end, locations.sources, warnings, place)

    def _view(self, zone: GeoZone) -> tuple[Locations, View] | None:
        targets = Variants(zone).targets
        closest = any(label.closest for label in zone.labels.values())
        if not targets and not closest:
            return None
        try:
            if self._locations is None or self._views is None:
                files = location_files(self._databases, self._own)
                self._locations = read_locations(files, self._cache)
                self._views = Views(self._locations)
            return self._locations, self._views.of(targets, zone.targeting, closest)
        except TooManyError as error:
            raise ZoneError(zone.path, str(error)) from None
        except ConfigError as error:
            raise ZoneError(error.path, error.reason, error.line, error.column) from None


def _write(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(fd, view, at)
        view, at = view[done:], at + done


def zone_warnings(zone: GeoZone) -> list[ZoneWarning]:
    """A zone's warnings as those of a master file are."""
    found = []
    for line in zone.warnings:
        text = line.removeprefix(f"{escape(str(zone.path))}:")
        place = _PLACE.match(text)
        number, text = (int(place[1]), text[place.end() :]) if place else (0, text.lstrip())
        found.append(ZoneWarning(str(zone.path), number, text))
    return found
