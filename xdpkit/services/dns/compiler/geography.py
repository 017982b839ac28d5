"""Where addresses are, for the JSON zones that one process compiles, and their views."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from xdpkit.config.geo import GeoFiles
from xdpkit.errors import ConfigError, ZoneError, ZoneErrors
from xdpkit.reach import reach
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.location_db import database_paths
from xdpkit.services.dns.geo.locations import Locations, location_files, read_locations
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.targets import Targeting
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.view import View, make_view
from xdpkit.services.dns.zonefile.sources import Source, stat_of

_Key = tuple[frozenset[str], Targeting, bool]


class Geography:
    """Reads the locations once, when a zone first needs them; zones of equal targets share a view.

    ``allow`` is called with the bytes of the files before they are read.
    """

    def __init__(self, files: GeoFiles, cache: Path | None, allow: Callable[[int], None]) -> None:
        self._files, self._cache, self._allow = files, cache, allow
        self._locations: Locations | None = None
        self._error: ConfigError | None = None
        self._views: dict[_Key, View] = {}
        self.sources: tuple[Source, ...] = ()
        """What the locations were read from, or were to be; databases that are not there, too."""

    def view(self, zone: GeoZone) -> View:
        """The zone's view. Raises ZoneError, also for a database or a map that is no good."""
        locations = self._read()
        self._allow(self._size())
        closest = any(label.closest for label in zone.labels.values())
        key = (Variants(zone).targets, zone.targeting, closest)
        if key not in self._views:
            try:
                self._views[key] = make_view(locations, *key)
            except ValueError as error:
                raise ZoneError(zone.path, str(error)) from None
        return self._views[key]

    def place(self, address: bytes) -> Coordinates | None:
        """Where an address is, given as in RDATA."""
        return self._read().place(address)

    def _read(self) -> Locations:
        if self._error is not None:
            raise _as_zone_error(self._error)
        if self._locations is None:
            try:
                self._locations = self._read_now()
            except ConfigError as error:
                self._error = error
                raise _as_zone_error(error) from None
        return self._locations

    def _read_now(self) -> Locations:
        databases, own = self._files.databases, self._files.own
        # Before the directory is looked at: what comes there later has another stat.
        before = {} if databases is None else _unread_databases(databases)
        named = [source for sources in before.values() for source in sources]
        if databases is not None:
            named.append(_unread(databases, True))
        self.sources = tuple(named)
        files = location_files(databases, own)
        # Other files may be made in the directory at any time.
        missing = [each for kind in before for each in _in_front(before[kind], files.get(kind))]
        self.sources = (*missing, *(_unread(path, False) for path in files.values()))
        self._allow(self._size())
        found = read_locations(files, self._cache)
        self.sources = (*missing, *found.sources)
        return found

    def _size(self) -> int:
        size = 0
        for source in self.sources:
            try:
                size += os.stat(reach(source.path)).st_size  # noqa: PTH116
            except OSError:
                continue
        return size


def _unread(path: Path, settled: bool) -> Source:
    return Source(str(path.absolute()), False, stat_of(path), settled, b"")


def _unread_databases(directory: Path) -> dict[str, list[Source]]:
    """By their kinds."""
    return {
        kind: [_unread(path, True) for path in paths]
        for kind, paths in database_paths(directory).items()
    }


def _in_front(sources: list[Source], used: Path | None) -> list[Source]:
    """Those that would be used in place of a file, or if there is none, if they were there."""
    paths = [source.path for source in sources]
    return sources if used is None else sources[: paths.index(str(used.absolute()))]


def _as_zone_error(error: ConfigError) -> ZoneError:
    errors = [
        ZoneError(each.path, each.reason, each.line, each.column)
        for each in error.errors or [error]
    ]
    return errors[0] if len(errors) == 1 else ZoneErrors(errors)
