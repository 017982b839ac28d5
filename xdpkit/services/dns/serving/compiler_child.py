"""The zone compiler's process: started, given its list, read to its end, ended when it is stuck.

It is stuck if it neither reports nor computes: it was stopped, or a file that it reads does not
answer. It is also stuck if it computes without a report for far longer than any step takes.

It is started before there is a list, so that its interpreter is warm when files have settled.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from fcntl import F_ADD_SEALS, F_SEAL_SHRINK, fcntl
from pathlib import Path
from typing import Any

import anyio
import anyio.abc

from xdpkit.config.dns import DEFAULT_LIMITS, ZoneLimits
from xdpkit.config.geo import GeoFiles
from xdpkit.errors import StuckError, XdpkitError
from xdpkit.runtime import child
from xdpkit.services.dns.compiler.process import OUT_OF_MEMORY

# The most bytes of one line of the child: the sources of a zone with thousands of includes.
LINE_MAX = 1 << 24

# Time between two looks at the child; a time that passes while nobody looks does not count.
LOOK_SECONDS = 1.0

# A child that neither reports nor computes for this long is ended: far longer than a disk takes to
# answer, or a busy machine to give a process of low priority some time.
IDLE_SECONDS = 30

# The same when somebody waits for newer zones to be read: long enough for a disk to answer.
REPLACED_SECONDS = 5

# A child that computes without a report is ended: the longest step of a million names takes 20 s.
SILENT_SECONDS = 300

# Writing a cache file takes some milliseconds; there may be 100,000 of them.
KEEP_SECONDS = 3600

# A killed process ends at once, except one that waits for a file in the kernel.
KILLED_SECONDS = 2.0

# Children that were killed and are still there, before no more are started.
STUCK_MAX = 4

# linux include/linux/posix-timers.h: the CPU clock of a whole process, clock_getcpuclockid(3).
CPUCLOCK_SCHED = 2

# Paths handed over in one write.
LINES = 1000

_stuck: list[anyio.abc.Process] = []


@dataclass(frozen=True, slots=True)
class Job:
    """How zones are to be compiled.

    ``memory`` is the most bytes that a child may use, ``limits`` what a zone may cost.
    """

    directory: Path
    cache: Path | None = None
    background: bool = False
    memory: int | None = None
    limits: ZoneLimits = DEFAULT_LIMITS
    warn: bool = False
    """Whether what is probably a mistake is to be reported."""
    served: Path | None = None
    """Where the compiled zones are kept that warnings compare with."""
    geo: GeoFiles | None = None
    """What JSON zones are compiled with; None: there are none."""

    def arguments(self, fd: int) -> list[str]:
        found = ["--fd", str(fd), *(["--cache", str(self.cache)] if self.cache else [])]
        found += ["--behind"] * self.background
        found += [] if self.memory is None else ["--memory", str(self.memory)]
        found += ["--warn"] * self.warn
        found += ["--served", str(self.served.absolute())] if self.served else []
        found += ["--max-bytes", str(self.limits.size)]
        found += ["--max-iterations", str(self.limits.iterations)]
        return [*found, *_geo_arguments(self.geo), str(self.directory)]


def _geo_arguments(geo: GeoFiles | None) -> list[str]:
    if geo is None:
        return []
    found = ["--geo", "--max-hosts", str(geo.max_hosts), *["--relax"] * geo.relaxed]
    found += [] if geo.databases is None else ["--geoip", str(geo.databases)]
    return found + ([] if geo.own is None else ["--map", str(geo.own)])


def never() -> bool:
    """Nobody waits for newer zones."""
    return False


class CompilerChild:
    """A running child, and the file that it writes arenas into; ``close`` ends both."""

    def __init__(self, process: anyio.abc.Process, fd: int, job: Job) -> None:
        self._process, self.fd, self.job = process, fd, job
        self._ended = self._activity = self._last = ""
        self._reports = 0
        self._ready = self._done = False
        self._rest = b""
        self.unkept = ""
        """Why it could not write its cache."""

    @classmethod
    async def start(cls, job: Job) -> CompilerChild:
        """Starts one that waits for its list. Raises XdpkitError, and OSError."""
        _stuck[:] = [process for process in _stuck if process.returncode is None]
        if len(_stuck) >= STUCK_MAX:
            raise StuckError(
                f"{len(_stuck)} zone compilers that were ended are still waiting for files: check "
                "the file systems that the zones are on (df, dmesg)"
            )
        fd = os.memfd_create("xdpkit-zones", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            # What it has reported cannot be cut off; what it changes, our copy does not have.
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)
            command = child.python("xdpkit.services.dns.compiler.compile", *job.arguments(fd))
            process = await anyio.open_process(
                command,
                stdin=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **child.options(fd),
            )
        except BaseException:
            os.close(fd)
            raise
        return cls(process, fd, job)

    @property
    def ended(self) -> bool:
        """Whether it has ended already."""
        return self._process.returncode is not None

    async def run(
        self,
        paths: Iterable[str],
        take: Callable[[dict[str, Any]], None],
        newer: Callable[[], bool] = never,
    ) -> str:
        """Has it compile these files; ``take`` gets its reports. It then writes its cache.

        Returns why it has ended before all were done, or "". While ``newer``, because somebody
        waits for newer zones, one that is stuck is ended sooner. Raises StuckError for one that
        was, and XdpkitError if it could not work at all.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope, newer)
            tasks.start_soon(self._feed, list(paths))
            await self._read(take)
            if not self._done:
                await self._process.wait()
            tasks.cancel_scope.cancel()
        if self._ended:
            raise StuckError(self._ended)
        if self._done:
            return ""
        status = self._process.returncode
        if self._ready and status in (0, OUT_OF_MEMORY):
            return ""
        how = f"exited with status {status}"
        if status is not None and status < 0:
            how = f"was ended by {signal.Signals(-status).name}"
        reason = f"the zone compiler {how}{self._activity}"
        reason += f"; its last output: {self._last or 'nothing'}" if (status or 0) > 0 else ""
        if not self._ready:
            raise XdpkitError(reason)
        return reason

    async def _feed(self, paths: list[str]) -> None:
        assert self._process.stdin is not None  # it is a pipe
        try:
            for at in range(0, len(paths), LINES):
                lines = "".join(f"{json.dumps(path)}\n" for path in paths[at : at + LINES])
                await self._process.stdin.send(lines.encode())
            await self._process.stdin.aclose()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            # It has ended: its status says why.
            return

    async def _read(self, take: Callable[[dict[str, Any]], None]) -> None:
        """Reads reports until it compiles no more."""
        assert self._process.stdout is not None  # it is a pipe
        async for chunk in self._process.stdout:
            *lines, rest = (self._rest + chunk).split(b"\n")
            self._rest = rest[-LINE_MAX:]
            for line in lines:
                self._take(line, take)
            if self._done:
                return

    def _take(self, line: bytes, take: Callable[[dict[str, Any]], None]) -> None:
        try:
            report = json.loads(line)
        except ValueError:
            report = None
        if not isinstance(report, dict):  # a traceback
            self._last = line.decode(errors="replace") or self._last
            return
        self._reports += 1
        if "ready" in report:
            self._ready = True
        elif "done" in report:
            self._done = True
        elif "unkept" in report:
            self.unkept = str(report["unkept"])
        elif "error" in report:
            self._ready, self._last = False, str(report["error"])
        else:
            where = report.get("reading")
            name = Path(str(where)).name
            self._activity = f" (in {name}, at record {report['records']})" if where else ""
            take(report)

    async def finish(self) -> None:
        """Waits until it has written its cache, and closes it."""
        try:
            with anyio.move_on_after(KEEP_SECONDS) as scope:
                self._done = False
                await self._read(lambda _: None)
                await self._process.wait()
            if scope.cancelled_caught:
                self.unkept = f"{self.job.cache}: the disk is too slow"
        finally:
            await self.close()

    async def _watch(self, scope: anyio.CancelScope, newer: Callable[[], bool]) -> None:
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
            if waited >= REPLACED_SECONDS and newer():
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

    async def close(self) -> None:
        """Ends it, if it still runs; who duplicated the descriptor of its file still has that."""
        with anyio.CancelScope(shield=True):
            if self._process.returncode is None:
                # Not by Popen.kill(), which takes the status of one that has just ended, so that
                # asyncio logs that it is missing. The PID is the child's until it is waited for.
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGKILL)
                with anyio.move_on_after(KILLED_SECONDS):
                    await self._process.wait()
            if self._process.returncode is not None:
                await self._read_out()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    await stream.aclose()
        if self._process.returncode is None:
            _stuck.append(self._process)
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    async def _read_out(self) -> None:
        """Reads what one that has ended wrote, up to its end: asyncio lets go of it only then."""
        assert self._process.stdout is not None  # it is a pipe
        with anyio.move_on_after(KILLED_SECONDS), suppress(anyio.ClosedResourceError):
            async for _ in self._process.stdout:
                pass


class WarmChild:
    """Has a child ready, from the first sign of a change until there is work, or none."""

    def __init__(self) -> None:
        self._child: CompilerChild | None = None
        self._wanted = False

    async def start(self, job: Job) -> None:
        """Starts one, unless there is one; that it cannot be is said when there is work."""
        if self._wanted:
            return
        self._wanted = True
        try:
            child = await CompilerChild.start(job)
        except (XdpkitError, OSError):
            self._wanted = False
            return
        if self._wanted:
            self._child = child
        else:
            await child.close()

    def take(self, job: Job) -> CompilerChild | None:
        """Gives the child away, if it was started for such a job."""
        if self._child is None or self._child.job != job or self._child.ended:
            return None
        child, self._child, self._wanted = self._child, None, False
        return child

    async def close(self) -> None:
        """Ends it."""
        child, self._child, self._wanted = self._child, None, False
        if child is not None:
            await child.close()


def _cpu_seconds(pid: int) -> float:
    """The CPU time of a process; -1 for one that has ended."""
    try:
        return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        return -1.0
