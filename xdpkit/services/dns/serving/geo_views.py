"""The views of JSON zones, as a compiler's child reports them; zones of equal targets share one."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.compiler.arena import has_choices


class _SharedView(GeoView):
    """One that can be referenced weakly."""


_in_use: WeakValueDictionary[bytes, _SharedView] = WeakValueDictionary()
"""By their ids: gone when no zone has them."""


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

    def of(self, zone: dict[str, Any], data: memoryview | bytes) -> GeoView | None:
        """The view that a zone's report names. Raises ValueError for one that is no good."""
        name = zone.get("view")
        if name is None:
            return None
        if not isinstance(name, str) or name not in self._places:
            raise ValueError(f"there is no view {name!r}")
        if name not in self._taken:
            self._taken[name] = self._take(name, data)
        return self._taken[name]

    def _take(self, name: str, data: memoryview | bytes) -> GeoView:
        known = _in_use.get(bytes.fromhex(name))
        if known is not None:
            return known
        at, size = self._places[name]
        with memoryview(data) as whole, whole[at : at + size] as part:
            view = _SharedView(part)
        if view.id.hex() != name:
            raise ValueError(f"the view {name} has another id")
        _in_use[view.id] = view
        return view


def check_servable(arena: ZoneArena, view: GeoView | None) -> None:
    """Raises ValueError for an arena with choices that nothing can be chosen by."""
    if has_choices(arena.view()):
        if view is None:
            raise ValueError("it has choices, and no view")
        GeoServing(Selection(arena, bytes(len(status_names(arena)))), view)
