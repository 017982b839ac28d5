"""Compiles master files in child processes, each for itself: what one costs, no other pays.

A child takes one file after the other. What is ready is read into memory beside the event loop, and
taken while the child goes on. If it ends, the file that it had in hand is the cause: another child
goes on with the rest.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio

from xdpkit._core._geo_view import GeoView
from xdpkit._core._zones import ZoneArena
from xdpkit.errors import StuckError, UnansweredError, XdpkitError, ZoneError
from xdpkit.runtime.off_loop import off_loop
from xdpkit.services.dns.compiler.process import BACKGROUND_NICE
from xdpkit.services.dns.serving.compiler_child import CompilerChild, Job, never
from xdpkit.services.dns.serving.geo_views import Views, check_in_file, check_servable
from xdpkit.services.dns.zonefile.sources import Source, from_json
from xdpkit.services.dns.zonefile.zone import ZoneWarning

log = logging.getLogger("xdpkit")

# The arenas are in memory: nothing but the CPU is waited for.
ARENA_SECONDS = 600.0

# Children at once, for a first load; each takes some memory.
CHILDREN = 4

# A child's start takes as long as some hundred small zones.
WORTH_ANOTHER = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a master file: an arena, or why there is none.

    ``stuck`` is one that may succeed if it is tried again as it is.
    """

    path: str
    arena: ZoneArena | None
    sources: tuple[Source, ...]
    errors: tuple[ZoneError, ...] = ()
    stuck: bool = False
    warnings: tuple[ZoneWarning, ...] = ()
    """What is probably a mistake, if the job asks for it."""
    unlisted: int = 0
    """How many more warnings there are."""
    view: GeoView | None = None
    """Of a JSON zone: what its choices are made by."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The compiler is at a record of a file; ``share`` of all files are done, 0 to 1."""

    path: str
    records: int
    share: float


Take = Callable[[list[Outcome]], None]


def no_progress(_: Progress) -> None:
    """Discards it."""


class Batch:
    """Master files to compile; ``take`` gets their outcomes, some at a time, in any order.

    ``keeping`` become the children that still write the cache: ``finish`` waits for them. While
    ``newer``, because somebody waits for newer zones, a child that is stuck is ended sooner.
    """

    def __init__(
        self,
        job: Job,
        take: Take,
        progress: Callable[[Progress], None] = no_progress,
        newer: Callable[[], bool] = never,
    ) -> None:
        self._job, self._take, self._progress, self._newer = job, take, progress, newer
        self.keeping: list[CompilerChild] = []
        self._count = self._done = 0

    async def run(
        self, paths: Sequence[str], warm: CompilerChild | None = None, children: int = 1
    ) -> None:
        """Compiles them all, in ``children`` processes if there are many; ``warm`` is one.

        Raises XdpkitError if the compiler does not work at all. Canceling kills the children.
        """
        self._count = len(paths)
        cpus = len(os.sched_getaffinity(0))
        children = max(1, min(children, cpus, CHILDREN, len(paths) // WORTH_ANOTHER))
        job = self._job
        if children > 1 and job.memory is None:
            physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
            job = replace(job, memory=physical // (children + 1))
        try:
            async with anyio.create_task_group() as tasks:
                for number in range(children):
                    share = paths[number::children]
                    tasks.start_soon(self._run, job, share, None if number else warm)
        except BaseException as error:
            await self.end()
            if isinstance(error, ExceptionGroup):
                raise _first(error) from error
            raise

    async def _run(self, job: Job, paths: Sequence[str], warm: CompilerChild | None) -> None:
        left = deque(paths)
        while left:
            child = warm if warm and not warm.ended else await CompilerChild.start(job)
            waited, warm = child is warm, None
            stuck, before = False, len(left)
            keeps = False
            try:
                why = await _Reader(self, child, left).run()
                keeps = not why
            except StuckError as error:
                if waited and len(left) == before:
                    # It was stuck before it had any file in hand.
                    log.warning("%s; another one is started", error)
                    continue
                why, stuck = str(error), True
            finally:
                if not keeps:
                    await child.close()
            if keeps:
                self.keeping.append(child)
            if why and left:
                path = left.popleft()
                self._finish([_refused(path, why, stuck)])
            elif len(left) == before:
                raise XdpkitError("the zone compiler ended before its work was done")

    async def finish(self) -> str:
        """Waits until the cache is written; returns why it could not be, or ""."""
        unkept = ""
        try:
            while self.keeping:
                await self.keeping[0].finish()
                unkept = self.keeping.pop(0).unkept or unkept
        finally:
            await self.end()
        return unkept

    async def end(self) -> None:
        """Ends those that still write their cache."""
        while self.keeping:
            await self.keeping.pop().close()

    def _finish(self, outcomes: list[Outcome]) -> None:
        self._done += len(outcomes)
        self._take(outcomes)
        last = outcomes[-1]
        self.report(last.path, last.arena.names if last.arena else 0, 0.0)

    def report(self, path: str, records: int, share: float) -> None:
        """Shows the progress within a file."""
        self._progress(Progress(path, records, min((self._done + share) / self._count, 1.0)))


class _Reader:
    """Reads what one child reports; ``left`` are the files that it has not reported yet."""

    def __init__(self, batch: Batch, child: CompilerChild, left: deque[str]) -> None:
        self._batch, self._child, self._left = batch, child, left
        self._found: list[dict[str, Any]] = []
        self._views = Views()
        self._more = anyio.Event()
        self._ended = False

    async def run(self) -> str:
        """Returns why the child ended before all was done, or "". Raises what its ``run`` does."""
        why = ""
        raised: XdpkitError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._load)
            try:
                why = await self._child.run(tuple(self._left), self._on_report, self._batch._newer)
            except XdpkitError as error:
                raised = error
            self._ended = True
            self._more.set()
        if raised:
            raise raised
        return why

    def _on_report(self, report: dict[str, Any]) -> None:
        """Takes a report, which may be anything that JSON can say."""
        if "reading" in report:
            self._batch.report(*_progress(report))
        elif "zone" not in report:
            self._views.note(report)
        elif self._left and report["zone"] == self._left[0]:
            # It reports them in their order.
            self._left.popleft()
            self._found.append(report)
            self._more.set()

    async def _load(self) -> None:
        while True:
            await self._more.wait()
            self._more = anyio.Event()
            found, self._found = self._found, []
            if found:
                self._batch._finish(await self._read(found))
            elif self._ended:
                return
            if self._ended:
                self._more.set()

    async def _read(self, found: list[dict[str, Any]]) -> list[Outcome]:
        # Its own descriptor: a thread that is left behind goes on with it.
        work = partial(_outcomes, os.dup(self._child.fd), found, self._views)
        nice = BACKGROUND_NICE if self._child.job.background else 0
        try:
            return await off_loop("the zone arenas", work, ARENA_SECONDS, nice)
        except UnansweredError as error:
            return [_refused(report["zone"], str(error), True) for report in found]


def _progress(report: dict[str, Any]) -> tuple[str, int, float]:
    records, share = report.get("records"), report.get("share")
    return (
        str(report["reading"]),
        records if isinstance(records, int) else 0,
        min(max(share, 0.0), 1.0) if isinstance(share, int | float) else 0.0,
    )


def _outcomes(fd: int, reports: list[dict[str, Any]], views: Views) -> list[Outcome]:
    """What a child reported, with the arenas in memory. Closes the descriptor."""
    try:
        return [_outcome(fd, report, views) for report in reports]
    except OSError as error:
        return [_refused(report["zone"], _unusable(error), True) for report in reports]
    finally:
        os.close(fd)


def _outcome(fd: int, report: dict[str, Any], views: Views) -> Outcome:
    path = report["zone"]
    try:
        sources = from_json(report["sources"])
        if errors := report.get("errors"):
            found = [
                ZoneError(each["path"], each["error"], each["line"], each["column"])
                for each in errors
            ]
            return Outcome(path, None, sources, tuple(found))
        warnings = tuple(ZoneWarning(*each) for each in report.get("warnings", ()))
        unlisted = int(report.get("unlisted", 0))
        at, size = report["at"], report["size"]
        check_in_file(fd, at, size)
        arena = ZoneArena.read(fd, at, size)
        found_view = views.of(report, fd)
        check_servable(arena, found_view)
        return Outcome(path, arena, sources, (), False, warnings, unlisted, found_view)
    except (LookupError, TypeError, ValueError, MemoryError, ArithmeticError) as error:
        return _refused(path, _unusable(error))


def _unusable(error: Exception) -> str:
    return f"the zone compiler produced no usable arena: {str(error) or type(error).__name__}"


def _refused(path: str, why: str, stuck: bool = False) -> Outcome:
    return Outcome(path, None, (), (ZoneError(path, why),), stuck)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    """The XdpkitError among them, or else the first."""
    found = group.exceptions[0]
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
