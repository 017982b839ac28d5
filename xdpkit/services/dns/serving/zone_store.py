"""The zones of a running server: read when asked to or when their files change, and published.

What changes is compiled for itself. A zone that does not load is served as it was, or answered with
SERVFAIL, and the others are up to date.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from xdpkit._core._zones import ZoneDirectory
from xdpkit.config import DnsConfig
from xdpkit.errors import UnansweredError, XdpkitError
from xdpkit.runtime.current_task import CurrentTask
from xdpkit.runtime.health import Reason
from xdpkit.runtime.inbox import Inbox, Signal
from xdpkit.runtime.off_loop import off_loop
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.runtime.reasons import failed
from xdpkit.services.base import Prepared
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.process import BACKGROUND_NICE
from xdpkit.services.dns.serving import zone_report
from xdpkit.services.dns.serving.batch import Batch, Outcome, Take
from xdpkit.services.dns.serving.comparing import compared, master_files
from xdpkit.services.dns.serving.compiler_child import Job, WarmChild
from xdpkit.services.dns.serving.geo_servings import geo_servings
from xdpkit.services.dns.serving.load_progress import LoadProgress, ProgressReporter
from xdpkit.services.dns.serving.store import Load, load_zones, remove_cached
from xdpkit.services.dns.serving.unused_files import remove_unused
from xdpkit.services.dns.serving.watch import ZoneWatch
from xdpkit.services.dns.serving.zone_table import (
    Change,
    Changes,
    ZoneState,
    ZoneTable,
    named,
)
from xdpkit.services.dns.zonefile.sources import Stat
from xdpkit.services.dns.zonefile.zone import name_text

log = logging.getLogger("xdpkit")

# Requests to read the zones that may wait: of the reload, and of the watch on the files.
INBOX = 4

# Comparing the files with the zones in use means reading those that may have changed unnoticed.
COMPARE_SECONDS = 60.0

# Batches whose children write the cache at the same time.
KEEPING_MAX = 4

# Between two attempts with a zone that was stuck: not much of the others' time, if it is again.
RETRY_SECONDS = 10.0

# Between two looks at the status files.
HEALTH_SECONDS = 1.0

# Making what a hundred thousand zones are found with takes a second on a busy machine.
DIRECTORY_SECONDS = 60.0

# Files that a line of the log names.
NAMED = 3

# Between two snapshots while many zones are compiled.
PUBLISH_SECONDS = 0.25


@dataclass(frozen=True)
class _Reload:
    """Read what has changed, without using it."""

    config: DnsConfig


@dataclass(frozen=True)
class _Changed:
    """Read these, or what has changed by then, and use them."""

    changes: Changes | None = None


@dataclass
class _Share:
    """A reload's share: what was found, compared with the table of then, and the one of now."""

    before: ZoneTable
    generation: int
    table: ZoneTable
    changes: Changes | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    gone: list[ZoneState] = field(default_factory=list)
    changed: bool = True


class _Shown(NamedTuple):
    """What is to be published: the how manieth, and the generations of what it is made of."""

    number: int
    table: int
    states: int


class ZoneStore:
    """Owns the zones: those in use, and the task that reads them again, one request at a time."""

    def __init__(self, config: DnsConfig, publisher: SnapshotPublisher) -> None:
        self._config = config
        self._publisher = publisher
        self._table = ZoneTable(config.zones.absolute(), config.geo_files is not None)
        self._servings = geo_servings(config)
        self._states_shown = 0
        """The generation of the servers' states that are published."""
        self._health = CurrentTask(self._look_at_health)
        self._directory: ZoneDirectory | None = None
        self._watching = CurrentTask(self._watch_files)
        self._report = zone_report.ZoneReport()
        self._published = 0.0
        self._shown = -1
        """The generation of the table that is published."""
        self._begun = self._number = 0
        """The number of what was last begun to be published, and of what was published."""
        self._partly = Signal()
        self._failed = ""
        self._kept: dict[tuple[Path | None, Path], Path] = {}
        """Where the compiled zones of a directory are kept."""
        self._keeping: list[Batch] = []
        self._kept_more = Signal()
        self._changed: dict[str, Stat | None] = {}
        """Files that have settled, and are to be read; ``_asked`` once somebody waits for that."""
        self._asked = False
        self._retry_at = 0.0
        self._warm = WarmChild()
        self.inbox = Inbox[_Reload | _Changed, Any]("zones", INBOX)

    @property
    def infos(self) -> Mapping[str, Mapping[str, Any]]:
        """The zones, for status."""
        return self._report.infos(self._table)

    def facts(self) -> dict[str, Any]:
        """Facts about all zones together, for status."""
        return self._report.facts(self._table)

    def problems(self) -> list[Reason]:
        """Why it is not healthy: the zones and the status files that are not up to date."""
        files = [Reason("status_file", line) for line in self.health_problems()]
        return [*zone_report.problems(self._table), *files]

    def health_problems(self) -> list[str]:
        """What is wrong with the status files."""
        return zone_report.health_problems(self._servings.failing)

    def handed_over(self) -> dict[str, Any] | None:
        """The servers' states, for a successor (JSON)."""
        return self._servings.handed_over()

    def take_over(self, handed_over: Mapping[str, Any]) -> None:
        """Begins with a predecessor's; before the first load."""
        self._servings.take_over(handed_over)

    # ---------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """The first load: reads the zones and publishes them. Raises XdpkitError."""
        load = await self._load(self._config, True)
        self._table = load.table
        self._report.set_loaded(load)
        self._log_changes((None, state) for state in self._table.failing)
        await self._servings.refresh()
        self._publish()

    async def _load(self, config: DnsConfig, first: bool) -> Load:
        with ExitStack() as stack:
            bar = stack.enter_context(LoadProgress(config.zones)) if first else None
            reporter = ProgressReporter(config.zones, bar)
            before = None if first else self._table
            try:
                load = await load_zones(
                    config.zones,
                    config.cache_directory(),
                    reporter,
                    not first,
                    self._is_awaited,
                    before,
                    limits=config.zone_limits,
                    wait=False,
                    geo=config.geo_files,
                )
            except (OSError, ValueError, MemoryError) as error:
                what = f"the zones in {config.zones} could not be loaded"
                raise XdpkitError(failed(what, error)) from error
        await self._locate(config)
        log.info("zones: %s", load.summary())
        self._report.set_unkept(load.unkept)
        if load.batch:
            self._keep(load.batch)
        return load

    def _keep(self, batch: Batch) -> None:
        """Leaves it to the task of ``run`` to wait until the cache is written."""
        if batch.keeping:
            self._keeping.append(batch)
            self._kept_more.set()

    async def _wait_for_cache(self) -> None:
        waited: set[int] = set()

        async def wait(batch: Batch) -> None:
            self._report.set_unkept(await batch.finish())
            self._keeping.remove(batch)
            waited.discard(id(batch))
            await self._forget_unused()

        async with anyio.create_task_group() as tasks:
            while True:
                for batch in self._keeping:
                    if id(batch) not in waited:
                        waited.add(id(batch))
                        tasks.start_soon(wait, batch)
                await self._kept_more.wait()

    def _job(self, config: DnsConfig | None = None) -> Job:
        config = config or self._config
        directory = self._table.directory
        kept = self._kept.get((config.cache_directory(), directory))
        if len(self._keeping) >= KEEPING_MAX:
            # The disk is too slow, or does not answer: what it has is older, and is found to be.
            kept = None
        return Job(directory, kept, True, limits=config.zone_limits, geo=config.geo_files)

    async def _locate(self, config: DnsConfig) -> None:
        """Finds where compiled zones are kept: that follows links, which may wait for a disk."""
        cache, directory = config.cache_directory(), config.zones.absolute()
        if cache and (cache, directory) not in self._kept:
            work = partial(arena_file.cache_directory, cache, directory)
            self._kept[cache, directory] = await off_loop(directory, work)

    def _publish(self) -> None:
        """Has the answering threads use the table of now."""
        shown = self._shown_now()
        self._take_into_use(shown, self._table.directory_of_arenas(self._servings))

    async def _show(self) -> None:
        """The same, made beside the event loop: tables to draw from take a while.

        What was shown meanwhile is newer, or of another table, and stays. Raises what ZoneDirectory
        does.
        """
        shown, table, servings = self._shown_now(), self._table, self._servings
        make = table.directory_maker(servings)
        directory = await _made_beside(make)
        newer = shown.number > self._number
        if newer and table is self._table and servings is self._servings:
            self._take_into_use(shown, directory)

    def _shown_now(self) -> _Shown:
        self._begun += 1
        return _Shown(self._begun, self._table.generation, self._servings.generation)

    def _take_into_use(self, shown: _Shown, directory: ZoneDirectory) -> None:
        self._directory = directory
        self._publisher.change(zones=directory)
        self._published, self._shown = time.monotonic(), shown.table
        self._number, self._states_shown = shown.number, shown.states

    # ---------------------------------------------------------------------------------------------

    async def prepare(self, config: DnsConfig) -> Prepared:
        """Reads what has changed, by a possibly new configuration, without using it.

        A zone that does not load fails no reload. Raises XdpkitError, and BusyError.
        """
        share: _Share = await self.inbox.ask(_Reload(config))
        servings = geo_servings(config, self._servings)
        if servings is not self._servings:
            await servings.refresh()
        directory, states = self._directory, self._states_shown
        if share.changed or servings is not self._servings:
            states = servings.generation
            make = share.table.directory_maker(servings)
            directory = await _made_beside(make)

        def commit() -> None:
            if servings is not self._servings:
                self._health.restart()
            self._servings, self._states_shown = servings, states
            self._commit(share, config, directory)

        def discard() -> None:
            self._table.set_unread(outcome.path for outcome in share.outcomes)

        async def settled() -> None:
            await self._forget(share.gone)

        facts = {
            "zones": zone_report.infos(share.table),
            "zones_changed": share.changed,
            "zones_failed": zone_report.failed_lines(share.table.failing),
        }
        failing = share.table.failing[: zone_report.NAMED]
        lines = dict.fromkeys(line for state in failing for line in state.errors)
        wrong = [XdpkitError(line) for line in lines]
        return Prepared({"zones": directory}, commit, settled, facts, discard, wrong)

    async def reload_zone(self, zone: str) -> dict[str, Any]:
        """Reads one zone again, whatever the stats of its files say, and uses it.

        Raises XdpkitError for a name that no zone has, and BusyError.
        """
        name = named(zone)
        table = self._table
        stats = await off_loop(
            table.directory, partial(master_files, table.directory, name, table.geo)
        )
        known = table.zones.get(name)
        if not stats and known is None:
            raise XdpkitError(
                f"{name_text(name)} is no zone here: {table.directory} has no such file (xdpkit "
                "status lists the zones)"
            )
        gone: dict[str, Stat | None] = {path: None for path in (known.paths if known else ())}
        await self.inbox.ask(_Changed(Changes(gone | stats, frozenset({name}))))
        await self._publisher.settle()
        state = self._table.zones.get(name)
        states = [] if state is None else [state]
        return {
            "zones": zone_report.infos(states),
            "zones_failed": zone_report.failed_lines(each for each in states if each.errors),
        }

    def _commit(self, share: _Share, config: DnsConfig, directory: ZoneDirectory | None) -> None:
        """Takes a reload's share; what was published meanwhile is kept."""
        before, self._config = self._config, config
        moved = self._table is not share.before or self._table.generation != share.generation
        if share.changes is None or not moved:
            old = self._table
            self._log_changes(
                (before_it, state)
                for state in share.table
                if (before_it := old.state_like(state)) is not state
            )
            self._table, self._directory = share.table, directory
            self._shown = share.table.generation
        else:
            taken = self._table.take(share.changes)
            self._log_changes([*taken.refused, *map(self._finish, share.outcomes)])
            self._publish()
        if (config.zones, config.watch) != (before.zones, before.watch):
            self._watching.restart()

    async def _answer(self, request: _Reload | _Changed) -> Any:
        if isinstance(request, _Changed):
            return await self._use(request.changes or self._take_changes())
        config, geo = request.config, self._config.geo_files
        if config.zones.absolute() != self._table.directory or config.geo_files != geo:
            load = await self._load(request.config, False)
            return _Share(self._table, self._table.generation, load.table)
        return await self._compare(self._table, request.config)

    async def _compare(self, table: ZoneTable, config: DnsConfig) -> _Share:
        """What has changed since the table was made, compiled. Raises XdpkitError."""
        share = _Share(table, table.generation, table.copy())
        await self._locate(config)
        work = partial(compared, share.table.copy())
        share.changes = await off_loop(table.directory, work, COMPARE_SECONDS, BACKGROUND_NICE)
        taken = share.table.take(share.changes)
        share.gone = taken.gone

        def take(outcomes: list[Outcome]) -> None:
            share.outcomes += outcomes
            for outcome in outcomes:
                share.table.finish(outcome)

        await self._compile(taken.todo, take, self._job(config))
        share.changed = _arenas(share.table) != _arenas(table)
        return share

    async def _compile(self, todo: list[ZoneState], take: Take, job: Job) -> None:
        if not todo:
            return
        batch = Batch(job, take, ProgressReporter(self._table.directory), self._is_awaited)
        try:
            await batch.run(sorted(state.paths[0] for state in todo), self._warm.take(job))
        except (OSError, ValueError, MemoryError) as error:
            raise XdpkitError(failed("the zones could not be compiled", error)) from error
        self._keep(batch)

    async def _use(self, changes: Changes) -> list[str]:
        """Compiles what has changed, and uses it; returns the files whose zones are others now."""
        table = self._table
        taken = table.take(changes)
        changes_log = zone_report.ChangeLog()
        changes_log.add(taken.refused)
        left = {state.paths[0] for state in taken.todo}
        used = [Path(path).name for state in taken.gone for path in state.paths]

        def take(outcomes: list[Outcome]) -> None:
            for outcome in outcomes:
                left.discard(outcome.path)
                used.extend([Path(outcome.path).name] * (outcome.arena is not None))
            changes_log.add(map(self._finish, outcomes))
            if time.monotonic() - self._published > PUBLISH_SECONDS:
                self._partly.set()

        try:
            await self._compile(taken.todo, take, self._job())
        except BaseException:
            self._partly.set()
            raise
        finally:
            changes_log.finish()
            # Those without an outcome are still to be read.
            table.set_unread(left)
        if self._shown != table.generation:
            await self._show()
        await self._forget(taken.gone)
        return used

    def _finish(self, outcome: Outcome) -> Change:
        if outcome.stuck:
            self._retry_at = time.monotonic() + RETRY_SECONDS
        return self._table.finish(outcome)

    def _log_changes(self, changes: Iterable[Change]) -> None:
        changes_log = zone_report.ChangeLog()
        changes_log.add(changes)
        changes_log.finish()

    async def _forget_unused(self) -> None:
        """Removes what was kept of views that no zone uses, and of other databases."""
        kept = self._kept.get((self._config.cache_directory(), self._table.directory))
        if kept and self._table.geo:
            with suppress(UnansweredError):
                used = self._table.view_ids()
                await off_loop(kept, partial(remove_unused, kept, used, self._config.geo_files))

    async def _forget(self, gone: list[ZoneState]) -> None:
        """Removes what was kept of zones that are gone."""
        kept = self._kept.get((self._config.cache_directory(), self._table.directory))
        if gone and kept:
            names = [arena_file.file_name(state.name) for state in gone]
            with suppress(UnansweredError):
                await off_loop(kept, partial(remove_cached, kept, names))
            await self._forget_unused()

    def _is_awaited(self) -> bool:
        """Whether somebody waits for the zones to be read once more."""
        return self.inbox.waiting > 1

    # ---------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Reads the zones whenever asked to, and watches the files, until canceled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watching.run)
            tasks.start_soon(self._wait_for_cache)
            tasks.start_soon(self._health.run)
            tasks.start_soon(self._show_parts)
            tasks.start_soon(self.inbox.run, self._answer)

    def _look_at_health(self) -> Callable[[], Awaitable[None]] | None:
        return self._follow_health if self._servings.has_health else None

    async def _follow_health(self) -> None:
        """Has what is unhealthy be in no new answer; no zone is compiled for it."""
        while True:
            await anyio.sleep(HEALTH_SECONDS)
            await self._servings.refresh()
            if self._states_shown != self._servings.generation:
                await self._try_to_show("health: the new states could not be taken into use")

    async def _show_parts(self) -> None:
        """Shows what is done of many changes while the others are still compiled."""
        while True:
            await self._partly.wait()
            if self._shown != self._table.generation:
                await self._try_to_show("zones: what has changed could not be taken into use")
                await anyio.sleep(PUBLISH_SECONDS)

    async def _try_to_show(self, what: str) -> None:
        try:
            await self._show()
        except (MemoryError, ValueError) as error:
            log.error("%s", failed(what, error))

    def _watch_files(self) -> Callable[[], Awaitable[None]] | None:
        return self._follow if self._config.watch else None

    async def _follow(self) -> None:
        """Takes zones into use whenever their files have changed."""
        async with anyio.create_task_group() as tasks:

            def sign() -> None:
                tasks.start_soon(self._warm.start, self._job())

            def calm() -> None:
                tasks.start_soon(self._warm.close)

            try:
                with ZoneWatch(lambda: self._table, sign, calm) as watch:
                    while True:
                        stats: dict[str, Stat | None] = {}
                        with anyio.move_on_after(RETRY_SECONDS):
                            stats = await watch.wait()
                        self._changed.update(stats)
                        if not self._asked and (self._changed or self._stuck()):
                            self._asked = True
                            tasks.start_soon(self._ask)
            finally:
                self._asked = False
                self._changed.clear()
                await self._warm.close()

    def _stuck(self) -> frozenset[bytes]:
        """The zones that are to be tried again as they are, now."""
        if time.monotonic() < self._retry_at:
            return frozenset()
        return frozenset(state.name for state in self._table.failing if state.stuck)

    def _take_changes(self) -> Changes:
        """What has changed until now, and what is to be tried again."""
        self._asked, stats = False, dict(self._changed)
        self._changed.clear()
        if again := self._stuck():
            self._retry_at = time.monotonic() + RETRY_SECONDS
        return Changes(stats, again)

    async def _ask(self) -> None:
        """Has what has changed be read; whatever changes until its turn is read with it."""
        try:
            used: list[str] = await self.inbox.ask(_Changed())
        except XdpkitError as error:
            if str(error) != self._failed:
                log.error("zones: %s; what is served is served on, trying again", error)
            self._failed, self._asked = str(error), True
            await anyio.sleep(RETRY_SECONDS)
            self._asked = False
            return
        self._failed = ""
        if used:
            await self._publisher.settle()
            shown = ", ".join(used[:NAMED]) + f" and {len(used) - NAMED} more" * (len(used) > NAMED)
            log.info("%s changed: %d zones in use", shown, len(self._table.zones))

    async def end(self) -> None:
        """Ends compilers that still write their cache, where ``run`` does not wait for them."""
        for batch in self._keeping:
            await batch.end()

    def close(self) -> None:
        """Closes the inbox."""
        self.inbox.close()


async def _made_beside(make: Callable[[], ZoneDirectory]) -> ZoneDirectory:
    """Made beside the event loop; here where too many threads wait for files that do not answer."""
    try:
        return await off_loop("the directory of zones", make, DIRECTORY_SECONDS)
    except UnansweredError:
        return make()


def _arenas(table: ZoneTable) -> dict[bytes, Any]:
    return {state.name: state.arena for state in table.zones.values()}
