"""The zone compiler's process: started, read to its end, and ended when it is stuck.

It is stuck if it neither reports nor computes: it was stopped, or a file that it reads does not
answer. It is also stuck if it computes without a report for far longer than any step takes.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.abc

from xdpkit.errors import StuckError, XdpkitError, ZoneError, ZoneErrors
from xdpkit.runtime import child

# The most bytes of one line of the child; a longer one is not one of our reports.
LINE_MAX = 1 << 16

# Time between two looks at the child; a time that passes while nobody looks does not count.
LOOK_SECONDS = 1.0

# A child that neither reports nor computes for this long is ended: far longer than a disk takes to
# answer, or a busy machine to give a process of low priority some time.
IDLE_SECONDS = 30

# The same when somebody waits for newer zones to be read: long enough for a disk to answer.
REPLACED_SECONDS = 5

# A child that computes without a report is ended: the longest step of a million names takes 20 s.
SILENT_SECONDS = 300

# A killed process ends at once, except one that waits for a file in the kernel.
KILLED_SECONDS = 2.0

# Children that were killed and are still there, before no more are started.
STUCK_MAX = 4

# linux include/linux/posix-timers.h: the CPU clock of a whole process, clock_getcpuclockid(3).
CPUCLOCK_SCHED = 2

_stuck: list[anyio.abc.Process] = []


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of the compiler in ``zone``, or that it is ``done`` with it."""

    zone: str
    records: int
    """Records read so far, or owner names if ``done``."""
    done: bool
    share: float = 0.0
    """Share of all the work, 0 to 1."""


def never() -> bool:
    """Nobody waits for newer zones."""
    return False


async def compile_in_child(
    arguments: list[str],
    fd: int,
    progress: Callable[[Progress], None] | None = None,
    newer: Callable[[], bool] = never,
) -> str:
    """Has the child write into ``fd``; returns why it could not write its cache, or "".

    ``progress`` is called with every report; ``newer`` says whether somebody waits for newer zones.
    Raises its ZoneError or ZoneErrors, and XdpkitError if it died or was ended. Canceling kills it.
    """
    _stuck[:] = [process for process in _stuck if process.returncode is None]
    if len(_stuck) >= STUCK_MAX:
        raise StuckError(
            f"{len(_stuck)} zone compilers that were ended are still waiting for files: check the "
            "file systems that the zones are on (df, dmesg)"
        )
    command = child.python("xdpkit.services.dns.compiler.compile", *arguments)
    process = await anyio.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        **child.options(fd),
    )
    try:
        return await _Child(process, progress, newer).run()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _end(process: anyio.abc.Process) -> None:
    if process.returncode is None:
        process.kill()
        with anyio.move_on_after(KILLED_SECONDS):
            await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()
    if process.returncode is None:
        _stuck.append(process)


class _Child:
    """A running child; ``activity`` is what its last report says, for the error."""

    def __init__(
        self,
        process: anyio.abc.Process,
        progress: Callable[[Progress], None] | None,
        newer: Callable[[], bool],
    ) -> None:
        self._process, self._progress, self._newer = process, progress, newer
        self._cache_error = self._activity = self._ended = ""
        self._reports = 0
        self._errors: list[ZoneError] = []

    async def run(self) -> str:
        last: dict[str, Any] | str | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            last = await self._read()
            await self._process.wait()
            tasks.cancel_scope.cancel()
        if self._ended:
            raise StuckError(self._ended)
        status = self._process.returncode
        if isinstance(last, dict) and "error" in last:
            if "path" not in last:
                raise XdpkitError(f"{last['error']}{self._activity}")
            raise self._errors[0] if len(self._errors) == 1 else ZoneErrors(self._errors)
        if status or not isinstance(last, dict) or "size" not in last:
            line = last if isinstance(last, str) else "nothing"
            how = f"exited with status {status}"
            if status is not None and status < 0:
                how = f"was ended by {signal.Signals(-status).name}{self._activity}"
            raise XdpkitError(f"the zone compiler {how}; its last output: {line}")
        return self._cache_error

    def _take(self, line: dict[str, Any]) -> None:
        self._reports += 1
        self._cache_error = line.get("unkept", self._cache_error)
        if "error" in line and "path" in line:
            error = ZoneError(line["path"], line["error"], line["line"], line["column"])
            self._errors.append(error)
        if "zone" in line:
            done = "names" in line
            records = line["names" if done else "records"]
            self._activity = f" (in {line['zone']}, at record {records})"
            if self._progress is not None:
                self._progress(Progress(line["zone"], records, done, line["share"]))

    async def _watch(self, scope: anyio.CancelScope) -> None:
        """Cancels the scope once the child is stuck, and says why in ``_ended``."""
        idle = silent = 0
        before = (0.0, 0)
        while True:
            await anyio.sleep(LOOK_SECONDS)
            now = (_cpu_seconds(self._process.pid), self._reports)
            idle = idle + 1 if now == before else 0
            silent = silent + 1 if now[1] == before[1] else 0
            before = now
            waited, why = idle * LOOK_SECONDS, "it was stopped, or waits for a file"
            if waited >= REPLACED_SECONDS and self._newer():
                why += ", and newer zones are to be read"
                break
            if waited >= IDLE_SECONDS:
                break
            waited = silent * LOOK_SECONDS
            if waited >= SILENT_SECONDS:
                why = "it computes without a result"
                break
        self._ended = (
            f"the zone compiler made no progress for {waited:.0f} s{self._activity}, and was ended:"
            f" {why}"
        )
        scope.cancel()

    async def _read(self) -> dict[str, Any] | str | None:
        """Reads all lines; returns the last: an object, or text if it was not JSON."""
        last: dict[str, Any] | str | None = None
        rest = b""
        assert self._process.stdout is not None  # it is a pipe: open_process()'s default
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-LINE_MAX:]
            for line in lines:
                try:
                    report = json.loads(line)
                except ValueError:
                    report = None
                if not isinstance(report, dict):  # a traceback
                    last = line.decode(errors="replace") or last
                    continue
                last = report
                self._take(report)
        return last


def _cpu_seconds(pid: int) -> float:
    """The CPU time of a process; -1 for one that has ended."""
    try:
        return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        return -1.0
