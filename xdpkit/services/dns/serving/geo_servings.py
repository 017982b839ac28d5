"""What JSON zones are served with: selections of what is healthy now, and views."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena, ZoneServing
from xdpkit.config import DnsConfig
from xdpkit.errors import UnansweredError
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.reasons import failed
from xdpkit.services.dns.compiler.arena import has_choices
from xdpkit.services.dns.geo.health import HealthFiles, Status
from xdpkit.services.dns.serving.explained import health_text

log = logging.getLogger("xdpkit")

# A look at the status files, which are at most some thousand, takes milliseconds.
STATES_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Made:
    arena: ZoneArena
    states: bytes
    serving: GeoServing


class GeoServings:
    """Made once for each zone and each change of its servers' health."""

    def __init__(self, health: Path | None = None, answer_all_unhealthy: bool = True) -> None:
        self.settings = (health, answer_all_unhealthy)
        self._files = HealthFiles(health, _say) if health else None
        self._answer_all = answer_all_unhealthy
        self._made: dict[bytes, _Made] = {}
        self._reading = self._silent = False
        self.generation = 0
        """Changes with every change of a state."""

    @property
    def has_health(self) -> bool:
        """Whether there are status files to look at."""
        return self._files is not None

    @property
    def answer_all_unhealthy(self) -> bool:
        """Whether health is ignored where nothing is healthy."""
        return self._answer_all

    def healthy(self, status: str) -> bool:
        """Whether a record with this status, ``FILE/KEY`` or empty, is answered."""
        return self._files is None or self._files.healthy(status)

    def state_text(self, status: str) -> str:
        """A status in a word; empty if there is none."""
        if not status:
            return ""
        state = None if self._files is None else self._files.status(status)
        return "no file" if state is None else state.name.lower()

    async def refresh(self) -> None:
        """Looks at the status files; what is wrong is logged once, and changes nothing."""
        files = self._files
        if files is None or self._reading:
            # A thread that does not get an answer goes on: there is no second one beside it.
            return

        def read() -> None:
            try:
                self.generation += files.refresh()
            finally:
                self._reading = False

        self._reading = True
        try:
            await off_loop(files.directory, read, STATES_SECONDS)
            self._silent = False
        except (UnansweredError, OSError, ValueError, MemoryError) as error:
            if not self._silent:
                what = f"health: {files.directory}: the states could not be read"
                log.warning("%s; the last ones stay in use", failed(what, error))
            self._silent = True

    def of(
        self, zones: Iterable[tuple[bytes, ZoneArena | None, GeoView | None]]
    ) -> tuple[list[tuple[bytes, ZoneArena | None]], dict[bytes, ZoneServing]]:
        """For a ZoneDirectory: the zones, without an arena where it cannot be served."""
        found: list[tuple[bytes, ZoneArena | None]] = []
        servings: dict[bytes, ZoneServing] = {}
        made: dict[bytes, _Made] = {}
        for name, arena, view in zones:
            # There may be 100,000 without: only an arena with a view has choices.
            if arena is None or view is None or not has_choices(arena.view()):
                found.append((name, arena))
                continue
            each = self._of(name, arena, view)
            if each is not None:
                made[name], servings[name] = each, each.serving
            found.append((name, arena if each else None))
        self._made = made
        return found, servings

    def _of(self, name: bytes, arena: ZoneArena, view: GeoView | None) -> _Made | None:
        names = status_names(arena)
        states = bytes(map(self._state, names))
        before = self._made.get(name)
        if before is not None and before.arena is arena and before.states == states:
            return before
        try:
            selection = Selection(arena, states, self._answer_all)
            return _Made(arena, states, GeoServing(selection, view, health_text(names, states)))
        except ValueError as error:
            log.error("a zone cannot be served, and is answered with SERVFAIL: %s", error)
            return None

    def _state(self, status: str) -> Status:
        return Status.HEALTHY if self.healthy(status) else Status.UNHEALTHY


def geo_servings(config: DnsConfig, before: GeoServings | None = None) -> GeoServings:
    """By the configuration; the same ones if nothing of it has changed."""
    geo = config.geo
    settings = (None, True) if geo is None else (geo.health, geo.answer_all_unhealthy)
    if before is not None and before.settings == settings:
        return before
    return GeoServings(*settings)


def _say(line: str) -> None:
    log.warning("health: %s", line)
