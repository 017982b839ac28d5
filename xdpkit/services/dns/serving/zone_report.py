"""What is told about zones: in the log, by ``status``, the metrics and ``/health``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from xdpkit.runtime.health import Reason
from xdpkit.runtime.moment import moment
from xdpkit.services.dns.geo.health import Failing
from xdpkit.services.dns.serving.store import Load
from xdpkit.services.dns.serving.zone_table import Change, ZoneState, ZoneTable

log = logging.getLogger("xdpkit")

# Lines of the log about one change of any number of files; a file has at most 21 (error_list.py).
LINES = 100

# Zones that are named as reasons of the health, and status files.
NAMED = 20


def consequence(state: ZoneState) -> str:
    """What it means for questions that a zone did not load."""
    again = ", trying again" if state.stuck else ""
    if not state.name:
        return "no zone is made of it"
    if state.arena is None:
        return f"{state.text} is answered with SERVFAIL{again}"
    good = f"the last good version of {state.text}, of {moment(state.loaded_at)}"
    return f"{good}, stays in use{again}"


def _consequences(states: Sequence[ZoneState]) -> str:
    """The same of several zones, for one reason."""
    if len(states) == 1:
        return consequence(states[0])
    kept = sum(state.arena is not None for state in states)
    parts = [f"{len(states)} zones do not load for it"]
    parts += [f"the last good versions of {kept} stay in use"] * (kept > 0)
    parts += [f"{len(states) - kept} are answered with SERVFAIL"] * (kept < len(states))
    return f"{', '.join(parts)}: xdpkit status names them"


def _is_of(state: ZoneState, line: str) -> bool:
    """Whether a line is about a zone's own file; another is that of many zones, or a database."""
    return any(line.startswith(f"{path}:") for path in state.paths)


class ChangeLog:
    """Logs which zones do not load from now on, and which do again: so many lines in all.

    What several zones do not load for, such as a location database, is said once, at the end.
    """

    def __init__(self) -> None:
        self._left, self._more = LINES, 0
        self._shared: dict[str, list[ZoneState]] = {}
        self._recovered: dict[str, list[tuple[float, ZoneState]]] = {}

    def add(self, changes: Iterable[Change]) -> None:
        """Logs these, or counts them."""
        for old, state in changes:
            if state.errors and (old is None or old.errors != state.errors):
                for line in state.errors:
                    if _is_of(state, line):
                        self._log(logging.ERROR, f"{line}; {consequence(state)}")
                    else:
                        self._shared.setdefault(line, []).append(state)
            elif old is not None and old.errors and not state.errors:
                if _is_of(old, old.errors[0]):
                    self._log(logging.INFO, f"{state.text} loads again, after {moment(old.since)}")
                else:
                    again = self._recovered.setdefault(old.errors[0], [])
                    again.append((old.since, state))

    def _log(self, level: int, line: str) -> None:
        if self._left:
            self._left -= 1
            log.log(level, "%s", line)
        else:
            self._more += 1

    def finish(self) -> None:
        """Logs what is shared, and says how many lines were left out."""
        for line, states in self._shared.items():
            self._log(logging.ERROR, f"{line}; {_consequences(states)}")
        for line, again in self._recovered.items():
            since, first = min(again, key=lambda each: each[0])
            count = len(again)
            which = f"{first.text} loads" if count == 1 else f"{count} zones load"
            self._log(logging.INFO, f"{which} again, after {moment(since)} ({line})")
        self._shared, self._recovered = {}, {}
        if self._more:
            log.error("and %d more lines about zones: xdpkit status names all", self._more)


def failed_lines(states: Iterable[ZoneState]) -> dict[str, list[str]]:
    """The errors of zones that did not load, by name."""
    return {state.text: list(state.errors) for state in states}


def problems(table: ZoneTable) -> list[Reason]:
    """The zones that are not up to date, the first of them by name."""
    failing = table.failing
    found = [
        Reason(
            f"zone_{state.condition}",
            f"zone {state.text}: {state.condition} since {moment(state.since)}: {state.errors[0]}",
        )
        for state in failing[:NAMED]
    ]
    for condition in ("stale", "failed"):
        if more := sum(state.condition == condition for state in failing[NAMED:]):
            text = f"and {more} more zones {condition}: xdpkit status names them"
            found.append(Reason(f"zone_{condition}", text, count=more))
    return found


def health_problems(failing: Sequence[Failing]) -> list[str]:
    """Lines about the status files of JSON zones."""
    found = [f"health since {moment(each.since)}: {each.line}" for each in failing[:NAMED]]
    if len(failing) > NAMED:
        found.append(f"health: and {len(failing) - NAMED} more status files: the log names them")
    return found


class ZoneReport:
    """The zones' part of the status, made once for each change, and how they were loaded."""

    def __init__(self) -> None:
        self._made: tuple[ZoneTable, int] | None = None
        self._infos: dict[str, dict[str, Any]] = {}
        self._seconds = 0.0
        self._unkept = ""

    def set_loaded(self, load: Load) -> None:
        """Takes note of the first load."""
        self._seconds = load.seconds

    def set_unkept(self, reason: str) -> None:
        """Logs why the cache could not be written: once, until it can."""
        if reason and not self._unkept:
            log.warning(
                "the compiled zones could not be cached for the next start (%s): free space, grant "
                'write access, or set cache under [dns] ("" turns it off)',
                reason,
            )
        self._unkept = reason

    def infos(self, table: ZoneTable) -> Mapping[str, Mapping[str, Any]]:
        """Every zone by name, sorted."""
        made = (table, table.generation)
        if self._made is None or self._made[0] is not table or self._made[1] != made[1]:
            self._infos, self._made = infos(table), made
        return self._infos

    def facts(self, table: ZoneTable) -> dict[str, Any]:
        """All zones together."""
        states: Sequence[ZoneState] = list(table)
        arenas = [state.arena for state in states if state.arena is not None]
        failing = table.failing
        origin = "cache" if arenas and all(s.cached for s in states if s.arena) else "compiled"
        latest = max((state.loaded_at for state in states), default=0.0)
        return {
            "bytes": sum(arena.size for arena in arenas),
            "names": sum(arena.names for arena in arenas),
            "load_s": round(self._seconds, 3),
            "source": origin,
            "loaded_at": moment(latest),
            "zones": len(states),
            "cached": sum(state.cached for state in states),
            "stale": sum(state.condition == "stale" for state in failing),
            "failed": sum(state.condition == "failed" for state in failing),
            "failing_s": round(time.time() - failing[0].since, 3) if failing else 0.0,
        }


def infos(states: Iterable[ZoneState]) -> dict[str, dict[str, Any]]:
    """The zones by name, sorted."""
    found = {state.text: _info(state) for state in states}
    return dict(sorted(found.items()))


def _info(state: ZoneState) -> dict[str, Any]:
    arena = state.arena
    info: dict[str, Any] = {
        "serial": arena.serial if arena else None,
        "names": arena.names if arena else 0,
    }
    if state.errors:
        info |= {
            "state": state.condition,
            "since": moment(state.since),
            "loaded_at": moment(state.loaded_at) if arena else None,
            "errors": list(state.errors),
        }
    return info
