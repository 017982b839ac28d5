"""What JSON zones are served with: selections of what is healthy now, and views."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena, ZoneServing
from xdpkit.config import DnsConfig
from xdpkit.errors import UnansweredError
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.reasons import failed
from xdpkit.services.dns.compiler.arena import has_choices
from xdpkit.services.dns.geo.health import Failing, HealthFiles, Status
from xdpkit.services.dns.serving.explained import health_text

log = logging.getLogger("xdpkit")

# A look at the status files, which are at most some thousand, takes milliseconds.
STATES_SECONDS = 10.0

# Lines about keys that match nothing, of one look.
UNMATCHED_MAX = 20

# A key is named once it has matched nothing for so long: a zone and its status files change one
# after the other, and a pool's zone is compiled in some seconds.
UNMATCHED_SECONDS = 10.0

# Names that are remembered as said.
SAID_MAX = 100_000


@dataclass(frozen=True, slots=True)
class _Made:
    arena: ZoneArena
    names: tuple[str, ...]
    """Of its statuses."""
    states: bytes
    serving: GeoServing


class GeoServings:
    """Made once for each zone and each change of its servers' health.

    ``of`` may be called beside the event loop, and ``refresh`` reads there.
    """

    def __init__(
        self,
        health: Path | None = None,
        answer_all_unhealthy: bool = True,
        before: GeoServings | None = None,
    ) -> None:
        """``before`` is what is in use: of the same directory, all that is known is taken over."""
        self.settings = (health, answer_all_unhealthy)
        self._files = HealthFiles(health, _say, _say_well) if health else None
        self._answer_all = answer_all_unhealthy
        self._made: dict[bytes, _Made] = {}
        self._used: list[tuple[str, ...]] | None = None
        """The names of statuses, by zone; None: no zone has been served yet."""
        self._named: tuple[list[tuple[str, ...]], frozenset[str]] = ([], frozenset())
        """The files that these name."""
        self._compared: list[tuple[str, ...]] | None = None
        self._unmatched_since: dict[str, float] = {}
        self._said: set[str] = set()
        if before is not None and before._files is not None and before.settings[0] == health:
            # Copied: both go on until the reload is done.
            self._files, self._said = before._files.copy(), set(before._said)
            self._used = before._used
        self._unsaid = False
        self._reading = False
        self._silent_since = 0.0
        """Since when the files do not answer, in seconds since the epoch; 0: they do."""
        self.generation = 0
        """Changes with every change of a state."""

    @property
    def has_health(self) -> bool:
        """Whether there are status files to look at."""
        return self._files is not None

    def handed_over(self) -> dict[str, Any] | None:
        """What a successor takes over (JSON)."""
        return self._files.handed_over() if self._files else None

    def take_over(self, handed_over: Mapping[str, Any]) -> None:
        """Begins with a predecessor's states."""
        if self._files:
            self._files.take_over(handed_over)

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
                used = self._used
                changed = files.refresh(None if used is None else partial(self._files_of, used))
                self.generation += changed
                if used is not None and (changed or self._unsaid or used != self._compared):
                    self._compared = used
                    self._say_unmatched(files, used)
            finally:
                self._reading = False

        self._reading = True
        try:
            await off_loop(files.directory, read, STATES_SECONDS)
            if self._silent_since:
                _say_well(f"{files.directory}: the states can be read again")
            self._silent_since = 0.0
        except (UnansweredError, OSError, ValueError, MemoryError) as error:
            if not self._silent_since:
                what = f"health: {files.directory}: the states could not be read"
                log.warning("%s; the last ones stay in use", failed(what, error))
                self._silent_since = time.time()

    def _files_of(self, used: list[tuple[str, ...]]) -> frozenset[str]:
        """The status files that records name."""
        if self._named[0] is not used:
            files = (name.partition("/")[0] for name in chain.from_iterable(used))
            self._named = used, frozenset(files)
        return self._named[1]

    @property
    def failing(self) -> list[Failing]:
        """What is wrong with the status files, the longest first."""
        if self._files is None:
            return []
        found = self._files.failing
        if self._silent_since:
            text = f"{self._files.directory}: does not answer; the last states stay in use"
            found.append(Failing(text, self._silent_since))
        return sorted(found, key=lambda each: each.since)

    def _say_unmatched(self, files: HealthFiles, used: list[tuple[str, ...]]) -> None:
        """Logs what was not said yet of keys that match nothing."""
        now, before = time.monotonic(), self._unmatched_since
        found = files.unmatched(chain.from_iterable(used))
        self._unmatched_since = {name: before.get(name, now) for name in found}
        unsaid = [name for name in found if name not in self._said]
        ripe = [n for n in unsaid if now - self._unmatched_since[n] >= UNMATCHED_SECONDS]
        for line in _few(files, ripe):
            _say(line)
        self._unsaid = len(unsaid) > len(ripe)
        self._said = set(found) if len(self._said) > SAID_MAX else self._said.union(ripe)

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
        self._used = [each.names for each in made.values()]
        return found, servings

    def _of(self, name: bytes, arena: ZoneArena, view: GeoView | None) -> _Made | None:
        before = self._made.get(name)
        if before is not None and before.arena is not arena:
            before = None
        names = before.names if before else status_names(arena)
        states = self._states_of(names)
        if before is not None and before.states == states:
            return before
        try:
            selection = Selection(arena, states, self._answer_all)
            serving = GeoServing(selection, view, health_text(names, states))
            return _Made(arena, names, states, serving)
        except ValueError as error:
            log.error("a zone cannot be served, and is answered with SERVFAIL: %s", error)
            return None

    def _states_of(self, names: tuple[str, ...]) -> bytes:
        return self._files.states_of(names) if self._files else bytes([Status.HEALTHY] * len(names))


def geo_servings(config: DnsConfig, before: GeoServings | None = None) -> GeoServings:
    """By the configuration; the same ones if nothing of it has changed.

    Where the directory of status files is the same, so are the states.
    """
    geo = config.geo
    settings = (None, True) if geo is None else (geo.health, geo.answer_all_unhealthy)
    if before is not None and before.settings == settings:
        return before
    return GeoServings(*settings, before)


def health_warnings(directory: Path, arenas: Iterable[ZoneArena]) -> list[str]:
    """What is wrong with the status files, and with what these zones call them: for ``check``."""
    said: list[str] = []
    files = HealthFiles(directory, said.append)
    files.refresh()
    used = chain.from_iterable(status_names(each) for each in arenas if has_choices(each.view()))
    return said + _few(files, files.unmatched(used))


def _few(files: HealthFiles, names: list[str]) -> list[str]:
    """Lines about names of ``unmatched``, not too many."""
    lines = [files.unmatched_line(name) for name in names[:UNMATCHED_MAX]]
    if len(names) > UNMATCHED_MAX:
        lines.append(
            f"{files.directory}: {len(names) - UNMATCHED_MAX} more keys without records, or records"
            " without keys"
        )
    return lines


def _say(line: str) -> None:
    log.warning("health: %s", line)


def _say_well(line: str) -> None:
    log.info("health: %s", line)
