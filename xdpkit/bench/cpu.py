"""CPUs: which one runs what, and the CPU time that a server's processes have used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# Field 14 of /proc/PID/stat (proc(5)), as an index into what follows the name's parenthesis.
UTIME = 14 - 3


@dataclass(frozen=True)
class CpuTime:
    """CPU time used so far: nanoseconds in total, and ticks of user and system mode.

    The scheduler counts the nanoseconds; the ticks are sampled and only give the ratio.
    """

    ns: int
    user: int
    system: int

    def per_answer(self, before: CpuTime, answers: int) -> dict[str, float]:
        """Microseconds per answer since ``before``: total, user, system."""
        us = (self.ns - before.ns) / 1e3 / max(answers, 1)
        user, system = self.user - before.user, self.system - before.system
        share = user / (user + system) if user + system else 0.0
        return {
            "cpu_us_per_answer": us,
            "cpu_user_us": us * share,
            "cpu_system_us": us * (1 - share),
        }


def available() -> list[int]:
    """The CPUs that this thread may run on."""
    return sorted(os.sched_getaffinity(0))


def split() -> tuple[int, int]:
    """One CPU for the load generator and one for the server; the same if there is only one."""
    cpus = available()
    return cpus[0], cpus[-1]


@contextmanager
def pinned(cpu: int) -> Iterator[None]:
    """Pins the calling thread to one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def thread_ns(pid: int, tid: int) -> int:
    """CPU time of a thread, in nanoseconds (linux scheduler/sched-stats.rst, schedstat)."""
    return int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0])


def _ticks(pid: int) -> list[int]:
    """Of a process in user and system mode, and of its children that were waited for: proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(field) for field in fields[UTIME : UTIME + 4]]


def used(pids: list[int]) -> CpuTime:
    """CPU time of processes and all their threads; one that has exited no longer counts."""
    ns = user = system = 0
    for pid in pids:
        with suppress(OSError):
            in_user, in_system, *_ = _ticks(pid)
            user += in_user
            system += in_system
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    ns += thread_ns(pid, int(task.name))
    return CpuTime(ns, user, system)


def seconds_with_children(pids: list[int]) -> float:
    """CPU seconds of processes, of their threads and of the children that they have waited for."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            ticks += sum(_ticks(pid))
    return ticks / os.sysconf("SC_CLK_TCK")


def model() -> str:
    """The CPU's model name."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
