"""The zones of a directory as they are served: which file each comes from, and how it stands.

A zone that does not load keeps its last good version. A state is never modified but replaced, so a
copy of the table costs little: a reload prepares its share in one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.errors import XdpkitError, ZoneError
from xdpkit.escape import escape
from xdpkit.services.dns.serving.batch import Outcome
from xdpkit.services.dns.serving.geo_servings import GeoServings
from xdpkit.services.dns.zonefile.sources import (
    INACCESSIBLE,
    SUFFIX,
    Source,
    Stat,
    is_json_zone,
    is_zone_file,
)
from xdpkit.services.dns.zonefile.zone import name_text
from xdpkit.services.dns.zonefile.zone_name import json_zone_name, plain_name, zone_name

# A file whose stat is this is to be read again: no file has it.
UNREAD: Stat = b""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """A zone: the last version that loaded, if any did, and why the files of now did not.

    One whose file's name is no zone's has no name, and is in no directory.
    """

    name: bytes
    """In wire format, lower-cased; empty if the file's name is none."""
    paths: tuple[str, ...]
    """Its master file; with two for one zone, neither is read."""
    arena: ZoneArena | None = None
    sources: tuple[Source, ...] = ()
    """What was read, or was to be, at the last attempt."""
    loaded_at: float = 0.0
    """When the arena was compiled, in seconds since the epoch."""
    cached: bool = False
    """Whether the arena was taken from the cache."""
    errors: tuple[str, ...] = ()
    """Why the last attempt failed; empty for a zone that is up to date."""
    since: float = 0.0
    """When it was first seen not to load, in seconds since the epoch."""
    stuck: bool = False
    """Whether it is tried again as it is."""
    view: GeoView | None = None
    """Of a JSON zone's arena: what its choices are made by."""

    @property
    def text(self) -> str:
        """The name as text; of a file that has none, the file's path."""
        return name_text(self.name) if self.name else escape(self.paths[0])

    @property
    def condition(self) -> str:
        """served: up to date; stale: from the last good version; failed: SERVFAIL."""
        if not self.errors:
            return "served"
        return "stale" if self.arena else "failed"


def name_of(path: str) -> bytes:
    """The wire name of the zone in a master file. Raises ZoneError if its name is none."""
    if is_json_zone(path.rpartition("/")[2]):
        return json_zone_name(Path(path))
    # Without a Path where that is not needed: there may be 100,000 of them.
    return plain_name(path.rpartition("/")[2].removesuffix(SUFFIX)) or zone_name(Path(path))


def named(zone: str) -> bytes:
    """The wire name of a zone as somebody writes it. Raises XdpkitError if it is none."""
    text = zone if zone == "." else zone.removesuffix(".")
    try:
        if not text:
            raise ZoneError(text, "empty")
        # As its file is called: no file's name has a slash.
        return name_of("/" + text.replace("/", r"\047") + SUFFIX)
    except ZoneError:
        raise XdpkitError(f"{zone!r} is not a domain name") from None


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the files found: their stats, of those that differ from what is known.

    ``again`` are zones whose files are read whatever their stats say.
    """

    stats: Mapping[str, Stat | None]
    again: frozenset[bytes] = frozenset()
    sources: Mapping[bytes, tuple[Source, ...]] = field(default_factory=dict)
    """Newer records of the same content, by zone."""


Change = tuple[ZoneState | None, ZoneState]
"""A zone's states before, if it is not new, and after."""


@dataclass
class Taken:
    """What files that have changed lead to."""

    todo: list[ZoneState] = field(default_factory=list)
    """Zones to compile."""
    gone: list[ZoneState] = field(default_factory=list)
    """Zones that have no file any more."""
    refused: list[Change] = field(default_factory=list)
    """Zones that do not load, without having been read."""


class ZoneTable:
    """Every zone of a directory, by name; and every file, by path."""

    def __init__(self, directory: Path, geo: bool = False) -> None:
        self.directory, self.geo = directory, geo
        self.zones: dict[bytes, ZoneState] = {}
        self.unnamed: dict[str, ZoneState] = {}
        """By path: files whose names are no zone's."""
        self.known: dict[str, Stat | None] = {}
        """Every file that was read, or was to be, with its stat of then."""
        self.generation = 0
        """Changes with every change of what is served or shown."""
        self._includers: dict[str, set[bytes]] = {}
        """The zones that include a file."""
        self._by_path: dict[str, bytes] = {}

    def copy(self) -> ZoneTable:
        """One that changes apart from this one."""
        made = ZoneTable(self.directory, self.geo)
        made.zones, made.unnamed = dict(self.zones), dict(self.unnamed)
        made.known, made.generation = dict(self.known), self.generation
        made._includers = {path: set(names) for path, names in self._includers.items()}
        made._by_path = dict(self._by_path)
        return made

    def __iter__(self) -> Iterator[ZoneState]:
        yield from self.zones.values()
        yield from self.unnamed.values()

    def __len__(self) -> int:
        return len(self.zones) + len(self.unnamed)

    def state_like(self, state: ZoneState) -> ZoneState | None:
        """This table's state of a zone, or of a file that is none."""
        return self.zones.get(state.name) if state.name else self.unnamed.get(state.paths[0])

    def view_ids(self) -> set[bytes]:
        """The ids of the views that JSON zones use."""
        return {state.view.id for state in self.zones.values() if state.view is not None}

    def directory_of_arenas(self, servings: GeoServings | None = None) -> ZoneDirectory:
        """What the answering threads find zones with, and choose answers by."""
        return self.directory_maker(servings)()

    def directory_maker(self, servings: GeoServings | None = None) -> Callable[[], ZoneDirectory]:
        """Makes the directory of the zones of now, wherever it is called: that can take a while."""
        zones = [(name, state.arena, state.view) for name, state in self.zones.items()]
        made = servings or GeoServings()
        return lambda: ZoneDirectory(*made.of(zones))

    # ---------------------------------------------------------------------------------------------

    def names_of(self, path: str) -> set[bytes]:
        """The zones that a file is part of."""
        own = self._by_path.get(path)
        return self._includers.get(path, set()) | (set() if own is None else {own})

    def is_master(self, path: str) -> bool:
        """Whether a path is one of a master file in the directory."""
        return (
            path in self._by_path
            or path in self.unnamed
            or path.rpartition("/")[0] == str(self.directory)
        )

    def is_zone(self, path: str) -> bool:
        """Whether a file's name makes it a zone's, if it is in the directory."""
        name = path.rpartition("/")[2]
        return is_zone_file(name) or (self.geo and is_json_zone(name))

    def take(self, changes: Changes) -> Taken:
        """Takes note of files that have changed."""
        touched: set[bytes] = set(changes.again)
        taken = Taken()
        for path, stat in changes.stats.items():
            self.known[path] = stat
            touched |= self._includers.get(path, set())
            if self.is_zone(path) and self.is_master(path):
                touched |= self._note_master(path, stat, taken)
        for name, sources in changes.sources.items():
            if (state := self.zones.get(name)) and name not in touched:
                self._put(replace(state, sources=sources))
        for name in touched:
            state = self.zones.get(name)
            if state is None:
                continue
            if len(state.paths) > 1:
                self._refuse_both(state, taken)
            else:
                taken.todo.append(state)
        if touched or changes.stats:
            self.generation += 1
        return taken

    def _note_master(self, path: str, stat: Stat | None, taken: Taken) -> set[bytes]:
        """Takes note of a master file that is there, or is no more; returns the zone it is of."""
        try:
            name = self._by_path.get(path) or name_of(path)
        except ZoneError as error:
            before = self.unnamed.pop(path, None)
            if stat is None:
                self.known.pop(path, None)
                return set()
            since = before.since if before else time.time()
            after = ZoneState(b"", (path,), errors=tuple(error.lines()), since=since)
            self.unnamed[path] = after
            taken.refused.append((before, after))
            return set()
        state = self.zones.get(name)
        if stat is not None:
            self._by_path[path] = name
            if state is None:
                self.zones[name] = ZoneState(name, (path,))
            elif path not in state.paths:
                self.zones[name] = replace(state, paths=tuple(sorted((*state.paths, path))))
            return {name}
        self.known.pop(path, None)
        self._by_path.pop(path, None)
        if state is None:
            return set()
        paths = tuple(each for each in state.paths if each != path)
        if paths:
            self.zones[name] = replace(state, paths=paths)
            return {name}
        taken.gone.append(self.zones.pop(name))
        self._forget(state)
        return set()

    def _refuse_both(self, state: ZoneState, taken: Taken) -> None:
        shown = [Path(path).name for path in state.paths]
        lines = tuple(
            f"{path}: the same zone as {', '.join(n for n in shown if n != Path(path).name)};"
            " remove one of them"
            for path in state.paths
        )
        since = state.since or time.time()
        after = replace(state, errors=lines, since=since, stuck=False)
        self.zones[state.name] = after
        taken.refused.append((state, after))

    def put_cached(self, name: bytes, path: str, state: ZoneState) -> None:
        """Begins with a zone from the cache; its file is there."""
        self._by_path[path] = name
        self._put(state)

    def finish(self, outcome: Outcome) -> Change:
        """Takes the outcome of a compilation; returns the states before and after."""
        name = self._by_path.get(outcome.path)
        before = self.zones.get(name) if name else None
        if before is None or name is None:
            # The file has gone meanwhile.
            nothing = ZoneState(b"", (outcome.path,))
            return nothing, nothing
        arena, errors = outcome.arena, tuple(line for e in outcome.errors for line in e.lines())
        if arena is not None and arena.name != name:
            arena, errors = None, (f"{outcome.path}: the compiler made another zone of it",)
        after = before
        if len(before.paths) == 1:
            after = replace(before, sources=outcome.sources or before.sources, stuck=outcome.stuck)
            if arena is None:
                after = replace(after, errors=errors, since=before.since or time.time())
            else:
                after = replace(after, arena=arena, view=outcome.view, loaded_at=time.time())
                after = replace(after, cached=False, errors=(), since=0.0)
        self._put(after, outcome.sources)
        self.generation += 1
        return before, after

    def _put(self, state: ZoneState, read: Iterable[Source] | None = None) -> None:
        """Replaces a zone's state, and notes the files that it was ``read`` from just now."""
        before = self.zones.get(state.name)
        self.zones[state.name] = state
        for source in state.sources if read is None else read:
            listed = source.stat is None and source.path in self._by_path
            self.known[source.path] = INACCESSIBLE if listed else source.stat
        included = {source.path for source in state.sources if not source.zone}
        if before is not None and before is not state:
            old = {source.path for source in before.sources if not source.zone}
            self._leave(state.name, old - included)
        for path in included:
            self._includers.setdefault(path, set()).add(state.name)

    def _forget(self, state: ZoneState) -> None:
        self._leave(state.name, {source.path for source in state.sources if not source.zone})

    def _leave(self, name: bytes, paths: Iterable[str]) -> None:
        for path in paths:
            names = self._includers.get(path, set())
            names.discard(name)
            if not names:
                self._includers.pop(path, None)
                if path not in self._by_path:
                    self.known.pop(path, None)

    def set_unread(self, paths: Iterable[str]) -> None:
        """Has files count as changed: what they held could not be taken."""
        for path in paths:
            if path in self.known:
                self.known[path] = UNREAD

    # ---------------------------------------------------------------------------------------------

    @property
    def others(self) -> list[str]:
        """The files besides the master files."""
        return list(self._includers)

    @property
    def failing(self) -> list[ZoneState]:
        """The zones that are not up to date, the longest first."""
        return sorted((state for state in self if state.errors), key=lambda each: each.since)

    def include_directories(self) -> set[str]:
        """The directories of the files that are included."""
        return {os.path.dirname(path) for path in self._includers}  # noqa: PTH120
