"""The views of JSON zones, as a compiler's child reports them; zones of equal targets share one.

Equal views are one by their contents, not by the ids that they say they have: a child that lies has
no zone but its own answered by its view.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena
from xdpkit.reach import reach
from xdpkit.services.dns.compiler import view_file
from xdpkit.services.dns.compiler.arena import has_choices
from xdpkit.services.dns.compiler.arena_file import OtherVersion

# Of st_blocks: stat(2).
_BLOCK_BYTES = 512


class _SharedView(GeoView):
    """One that can be referenced weakly."""


_in_use: WeakValueDictionary[bytes, _SharedView] = WeakValueDictionary()
"""By the digests of our copies: gone when no zone has them."""


def check_in_file(fd: int, at: int, size: int) -> None:
    """Raises ValueError if a file does not have what it is said to have; OSError.

    A hole would cost who made the file nothing, and who reads it memory.
    """
    found = os.fstat(fd)
    if not 0 <= at <= at + size <= found.st_size or size > found.st_blocks * _BLOCK_BYTES:
        raise ValueError("it is not in the file")


class Views:
    """Where a child's views are in its file, and those that were taken from there."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[int, int]] = {}
        self._taken: dict[str, GeoView] = {}

    def note(self, report: dict[str, Any]) -> None:
        """Takes note of a view that is in the file; what is no such report is none."""
        name, at, size = report.get("view"), report.get("at"), report.get("size")
        if isinstance(name, str) and isinstance(at, int) and isinstance(size, int):
            self._places[name] = (at, size)

    def of(self, zone: dict[str, Any], fd: int) -> GeoView | None:
        """The view that a zone's report names, from the child's file.

        Raises ValueError for one that is no good, and OSError.
        """
        name = zone.get("view")
        if name is None:
            return None
        if not isinstance(name, str) or name not in self._places:
            raise ValueError(f"there is no view {name!r}")
        if name not in self._taken:
            self._taken[name] = self._take(name, fd)
        return self._taken[name]

    def _take(self, name: str, fd: int) -> GeoView:
        at, size = self._places[name]
        check_in_file(fd, at, size)
        if size > view_file.BYTES_MAX:
            raise ValueError(f"a view of {size} bytes is larger than any")
        return _shared(bytes.fromhex(name), os.pread(fd, size, at))


def _shared(view: bytes, block: memoryview | bytes) -> GeoView:
    """The view in a block, or one in use that is the same. Raises ValueError if it is no good."""
    # Of a copy: whoever wrote the block may still write it.
    made = _SharedView(block)
    if made.id != view:
        raise ValueError(f"the view {view.hex()} has another id")
    return _in_use.setdefault(made.digest(), made)


class KeptViews:
    """The views in a directory of cached zones; each is read once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._found: dict[bytes, GeoView | Exception] = {}

    def of(self, view: bytes) -> GeoView:
        """The view with this id.

        Raises ValueError for one that is no good or not there, OSError, MemoryError and
        OtherVersion.
        """
        if view not in self._found:
            try:
                self._found[view] = self._read(view)
            except (OSError, ValueError, MemoryError) as error:
                self._found[view] = error
        found = self._found[view]
        if isinstance(found, Exception):
            raise found
        return found

    def _read(self, view: bytes) -> GeoView:
        file = view_file.file_name(view)
        try:
            return _shared(view, view_file.read_view(f"{reach(self._directory)}/{file}"))
        except OtherVersion:
            raise
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ValueError(f"its view {file}: {reason}") from None


def check_servable(arena: ZoneArena, view: GeoView | None) -> None:
    """Raises ValueError for an arena with choices that nothing can be chosen by."""
    if has_choices(arena.view()):
        if view is None:
            raise ValueError("it has choices, and no view")
        GeoServing(Selection(arena, bytes(len(status_names(arena)))), view)
