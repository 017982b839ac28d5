"""Compiles the JSON zones of a zone directory, which GeoDNS's files are."""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path

from xdpkit._core._geo_view import TooManyError
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.escape import escape
from xdpkit.reach import reach
from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.made_zone import MadeZone
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.locations import Locations, location_files, read_locations
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.view import View, make_view
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
        self._read: Locations | None = None

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
        view = self._view(zone)
        if view is None:
            return MadeZone(zone.origin, compile_geo(zone, fd, at), None, (), warnings)
        size = compile_geo(zone, fd, at, classes=view, place=self._place)
        view_at = next_start(at + size)
        _write(fd, view.block, view_at)
        warnings += [ZoneWarning(str(path), 0, text) for text in view.warnings]
        place = (view_at, len(view.block))
        return MadeZone(zone.origin, size, place, self._locations().sources, warnings)

    def _view(self, zone: GeoZone) -> View | None:
        targets = Variants(zone).targets
        closest = any(label.closest for label in zone.labels.values())
        if not targets and not closest:
            return None
        try:
            return make_view(self._locations(), targets, zone.targeting, closest)
        except TooManyError as error:
            raise ZoneError(zone.path, str(error)) from None
        except ConfigError as error:
            raise ZoneError(error.path, error.reason, error.line, error.column) from None

    def _locations(self) -> Locations:
        if self._read is None:
            files = location_files(self._databases, self._own)
            self._read = read_locations(files, self._cache)
        return self._read

    def _place(self, address: bytes) -> Coordinates | None:
        return self._locations().fact(ip_address(address))[1]


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
