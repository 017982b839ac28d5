"""A zone directory's first load: what the cache has is taken from there, the rest is compiled."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from xdpkit._core._geo_view import GeoView
from xdpkit.config.dns import DEFAULT_LIMITS, ZoneLimits
from xdpkit.config.geo import GeoFiles
from xdpkit.errors import ERRORS_MAX, UnansweredError, ZoneError
from xdpkit.reach import reach
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.privileges import unprivileged
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena_file import CachedZone, settings_key
from xdpkit.services.dns.compiler.process import BACKGROUND_NICE
from xdpkit.services.dns.serving.batch import CHILDREN, Batch, Outcome, Progress, no_progress
from xdpkit.services.dns.serving.compiler_child import Job, never
from xdpkit.services.dns.serving.geo_views import KeptViews, check_servable
from xdpkit.services.dns.serving.load_progress import describe_load
from xdpkit.services.dns.serving.unused_files import remove_unused
from xdpkit.services.dns.serving.zone_table import Changes, ZoneState, ZoneTable, name_of
from xdpkit.services.dns.zonefile.error_list import directory_error
from xdpkit.services.dns.zonefile.sources import Source, Stat, stat_of, zone_stats
from xdpkit.services.dns.zonefile.zone import WARNINGS_MAX, ZoneWarning

log = logging.getLogger("xdpkit")

# Files of the cache that are read in one go, and how long that may take: each is read and checked
# in 0.1 ms, and one of a million names in 2 s; a slow disk takes some more.
FILES = 1000
CACHE_SECONDS = 60.0

# A line behind all of a file.
_LAST = 1 << 62


@dataclass
class Load:
    """How a directory was loaded."""

    table: ZoneTable
    compiled: int = 0
    """Zones that were compiled, or were to be."""
    cached: int = 0
    """Zones that are as they were kept."""
    seconds: float = 0.0
    unkept: str = ""
    """Why the cache could not be written; empty on success or without a cache."""
    errors: dict[str, tuple[ZoneError, ...]] = field(default_factory=dict)
    """What is wrong with master files that were compiled, by path."""
    batch: Batch | None = None
    others: int = 0
    """Zones that another version of xdpkit kept."""
    damaged: list[str] = field(default_factory=list)
    """What is wrong with files of the cache, which are made again."""
    warnings: list[ZoneWarning] = field(default_factory=list)
    """What is probably a mistake, by file and line; only for ``check``."""

    @property
    def names(self) -> int:
        """Owner names of all zones."""
        return sum(state.arena.names for state in self.table if state.arena)

    @property
    def size(self) -> int:
        """Bytes of all arenas."""
        return sum(state.arena.size for state in self.table if state.arena)

    def summary(self) -> str:
        """One line about it."""
        return describe_load(self.names, self.size, self.seconds, self.cached, self.compiled)


async def load_zones(
    directory: Path,
    cache: Path | None = None,
    progress: Callable[[Progress], None] = no_progress,
    background: bool = False,
    newer: Callable[[], bool] = never,
    before: ZoneTable | None = None,
    keep: bool = True,
    limits: ZoneLimits = DEFAULT_LIMITS,
    wait: bool = True,
    geo: GeoFiles | None = None,
) -> Load:
    """Loads every zone of a directory; what is wrong with one is in its state.

    ``cache`` is where all directories' compiled zones are kept; without ``keep``, it is only read,
    and without ``wait``, the load's batch is still writing it. With ``background``, the compiler
    yields the CPU to the answering threads. A zone that does not load is served as it is in
    ``before``, or as it was kept. JSON zones are read with ``geo``. Raises ZoneError for a
    directory that cannot be read or is empty, and XdpkitError if the compiler does not work.
    """
    started = time.monotonic()
    directory = directory.absolute()
    stats = await off_loop(directory, partial(zone_stats, directory, geo is not None))
    load = Load(ZoneTable(directory, geo is not None))
    kept = None
    if cache:
        kept = await off_loop(directory, partial(arena_file.cache_directory, cache, directory))
    if kept is not None:
        try:
            await _take_cached(load, kept, stats, background, keep, geo)
        except UnansweredError as error:
            log.warning("%s; compiling the zones again", error)
    known = load.table.known
    changed = {path: stat for path, stat in stats.items() if known.get(path) != stat}
    todo = load.table.take(Changes(changed)).todo
    if before is not None:
        for state in todo:
            if state.arena is None and (old := before.zones.get(state.name)) and old.arena:
                load.table.zones[state.name] = replace(
                    state,
                    arena=old.arena,
                    view=old.view,
                    loaded_at=old.loaded_at,
                    cached=old.cached,
                )
    load.compiled = len(todo)
    if todo:
        job = Job(directory, kept if keep else None, background, limits=limits, geo=geo)
        await _compile(load, job, todo, progress, newer)
    load.seconds = time.monotonic() - started
    if wait and load.batch:
        load.unkept = await load.batch.finish() or load.unkept
    return load


async def _compile(
    load: Load,
    job: Job,
    todo: Sequence[ZoneState],
    progress: Callable[[Progress], None],
    newer: Callable[[], bool],
) -> None:
    def take(outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            load.table.finish(outcome)
            if outcome.errors:
                load.errors[outcome.path] = outcome.errors

    batch = Batch(job, take, progress, newer)
    await batch.run(sorted(state.paths[0] for state in todo), children=CHILDREN)
    load.batch = batch


async def compile_zones(
    directory: Path,
    progress: Callable[[Progress], None] = no_progress,
    memory: int | None = None,
    limits: ZoneLimits = DEFAULT_LIMITS,
    cache: Path | None = None,
    geo: GeoFiles | None = None,
) -> Load:
    """Compiles every zone of a directory, and keeps none of it: for ``check``.

    What is probably a mistake becomes a warning; ``cache`` has the zones as they are served now.
    Raises ZoneErrors with everything that is wrong with any of them.
    """
    started = time.monotonic()
    directory = directory.absolute()
    load = Load(ZoneTable(directory, geo is not None))
    # As the compiler's child will, and ``run`` does.
    look = partial(unprivileged, partial(zone_stats, directory, geo is not None))
    todo = load.table.take(Changes(await off_loop(directory, look))).todo
    found: dict[str, ZoneError] = {}

    def take(outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            # A location database is that of many zones.
            found.update((str(error), error) for error in outcome.errors)
            load.warnings += _listed(outcome)
            load.table.finish(outcome)

    served = cache and arena_file.cache_directory(cache, directory)
    job = Job(directory, memory=memory, limits=limits, warn=True, served=served, geo=geo)
    batch = Batch(job, take, progress)
    if todo:
        await batch.run(sorted(state.paths[0] for state in todo), children=CHILDREN)
        await batch.finish()
    refused = list(found.values())
    compiled = {state.name for state in todo}
    for state in load.table:
        if state.errors and (not state.name or state.name not in compiled):
            refused += [
                ZoneError(path, line.removeprefix(f"{path}: "))
                for path, line in zip(state.paths, state.errors, strict=True)
            ]
    if refused:
        refused.sort(key=lambda error: (str(error.path), error.line or _LAST))
        raise directory_error(refused)
    load.warnings.sort(key=lambda warning: (warning.path, warning.line or _LAST))
    load.compiled, load.seconds = len(todo), time.monotonic() - started
    return load


def _listed(outcome: Outcome) -> list[ZoneWarning]:
    """A zone's warnings, and one that says how many more there are."""
    found = list(outcome.warnings)
    if outcome.unlisted:
        # Each kind is looked for until there are that many.
        least = "at least " * (outcome.unlisted + WARNINGS_MAX >= ERRORS_MAX)
        found.append(ZoneWarning(outcome.path, 0, f"and {least}{outcome.unlisted} more"))
    return found


# -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """A zone as it was kept, and whether its files are the same; or why it cannot be used."""

    name: bytes
    path: str
    zone: CachedZone | None
    current: tuple[Source, ...] | None
    wrong: str = ""
    view: GeoView | None = None


async def _take_cached(
    load: Load,
    kept: Path,
    stats: dict[str, Stat],
    background: bool,
    keep: bool,
    geo: GeoFiles | None,
) -> None:
    """Begins with the zones in the cache, up to date or not; prepares it for those to come."""
    nice = BACKGROUND_NICE if background else 0
    files, load.unkept = await off_loop(kept, partial(_prepare, kept, keep), CACHE_SECONDS, nice)
    names = _names(stats)
    reader = _Reader(kept, stats, geo)
    there = [each for each in names if each.file in files]
    for at in range(0, len(there), FILES):
        work = partial(reader.read_all, there[at : at + FILES])
        for found in await off_loop(kept, work, CACHE_SECONDS, nice):
            _take_found(load, found)
    gone = set() if not keep else files - {each.file for each in names}
    await off_loop(kept, partial(remove_cached, kept, gone), CACHE_SECONDS, nice)
    if keep and not load.unkept:
        drop = partial(remove_unused, kept, load.table.view_ids(), geo, 0.0)
        await off_loop(kept, drop, CACHE_SECONDS, nice)
    if load.others:
        log.info("%s: %d zones of another version; compiling them again", kept, load.others)
    if load.damaged:
        first, more = load.damaged[0], len(load.damaged) - 1
        others = f", and {more} more of its files are not" if more else ""
        log.warning("%s%s; compiling these zones again", first, others)


def _take_found(load: Load, found: _Found) -> None:
    if found.wrong:
        load.damaged.append(found.wrong)
    if found.zone is None:
        return
    zone = found.zone
    load.others += not zone.ours
    state = ZoneState(
        found.name,
        (found.path,),
        zone.arena,
        found.current or zone.sources,
        zone.made,
        cached=True,
        view=found.view,
    )
    load.table.put_cached(found.name, found.path, state)
    if found.current:
        load.cached += 1
    else:
        # To be compiled, and served if that fails.
        load.table.set_unread([found.path])


class _Name(NamedTuple):
    """A zone, its master file, and the name of its file in the cache."""

    zone: bytes
    path: str
    file: str


def _names(stats: Iterable[str]) -> list[_Name]:
    """The zones of master files; of several for one zone, the first counts."""
    found: dict[bytes, list[str]] = {}
    for path in stats:
        with suppress(ZoneError):
            found.setdefault(name_of(path), []).append(path)
    return [_Name(zone, paths[0], arena_file.file_name(zone)) for zone, paths in found.items()]


def _prepare(kept: Path, keep: bool) -> tuple[set[str], str]:
    """The files in the directory of compiled zones, and why it could not be made."""
    try:
        if not keep:
            names = os.listdir(reach(kept)) if kept.is_dir() else []  # noqa: PTH208
            return {name for name in names if name.endswith(arena_file.SUFFIX)}, ""
        arena_file.make_directory(kept)
        # What older versions kept: one file for all zones.
        for suffix in (arena_file.SUFFIX, arena_file.PART):
            with suppress(FileNotFoundError):
                os.unlink(reach(kept.with_name(kept.name + suffix)))  # noqa: PTH108
    except OSError as error:
        return set(), f"{error.filename or kept}: {error.strerror}"
    names = os.listdir(reach(kept))  # noqa: PTH208
    return {name for name in names if name.endswith(arena_file.SUFFIX)}, ""


class _Reader:
    """Reads zones that were kept, and finds out whether their files are the same."""

    def __init__(self, kept: Path, stats: dict[str, Stat], geo: GeoFiles | None) -> None:
        self._directory, self._views = reach(kept), KeptViews(kept)
        self._seen: dict[str, Stat | None] = dict(stats)
        self._settings = "" if geo is None else settings_key(geo)

    def read_all(self, names: Sequence[_Name]) -> list[_Found]:
        """What became of each."""
        return [self._read(f"{self._directory}/{each.file}", each) for each in names]

    def _read(self, file: str, name: _Name) -> _Found:
        try:
            zone = arena_file.read_cached(file)
            if zone.arena.name != name.zone:
                raise ValueError("it is another zone's")
            view = self._views.of(zone.geo.view) if zone.geo else None
            check_servable(zone.arena, view)
        except (FileNotFoundError, arena_file.OtherVersion):
            return _Found(name.zone, name.path, None, None)
        except (OSError, ValueError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return _Found(name.zone, name.path, None, None, f"{file} is not used: {reason}")
        return _Found(name.zone, name.path, zone, self._current(zone, name.path), view=view)

    def _current(self, zone: CachedZone, path: str) -> tuple[Source, ...] | None:
        """Its sources of now, if all that it was made from is as it was."""
        if not zone.ours or (zone.geo and zone.geo.settings != self._settings):
            return None
        return recheck(zone.sources, path, self._seen)


def recheck(
    sources: Sequence[Source], path: str, seen: dict[str, Stat | None]
) -> tuple[Source, ...] | None:
    """A zone's sources with their stats of now; None if their content has changed.

    ``path`` is its master file; ``seen`` are stats that are known already.
    """
    if [source.path for source in sources if source.zone] != [path]:
        return None
    now = []
    for source in sources:
        if source.path not in seen:
            seen[source.path] = stat_of(source.path)
        checked = source.recheck(seen[source.path])
        if checked is None:
            return None
        now.append(checked)
    return tuple(now)


def remove_cached(kept: Path, files: Iterable[str]) -> None:
    """Removes what was kept of zones that are gone."""
    directory = reach(kept)
    for name in files:
        with suppress(OSError):
            os.unlink(f"{directory}/{name}")  # noqa: PTH108
