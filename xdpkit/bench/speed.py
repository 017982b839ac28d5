"""Answers per second of each service beside a bare echo of the same size, in interleaved rounds.

Server and generator each have a CPU of their own where there are two. The generator keeps a window
of requests open, so that it goes as fast as the server answers; every reply is checked.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from xdpkit.bench.load import Load, request_header
from xdpkit.served import ServedLab

# Open requests: enough that the server never waits for the generator, few enough that no ring fills.
WINDOW = 1024


@dataclass(frozen=True)
class Row:
    """What is measured: a service's requests, and the echo row it is compared with, if any."""

    name: str
    service: str
    port: int
    queries: Sequence[bytes] = ()
    echo_bytes: int = 48
    beside: str | None = None


@dataclass
class Outcome:
    """A row's rounds: answers a second, server CPU seconds per answer, and the generator's verdicts."""

    answers_per_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    bad: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Medians, and the least and the most of the rounds."""
        facts: dict[str, Any] = {"wrong_lost_duplicate": self.bad}
        for name, values in (
            ("answers_per_s", self.answers_per_s),
            ("cpu_us_per_answer", self.cpu_us),
            ("ratio_to_echo", self.ratio),
        ):
            if values:
                facts |= {
                    name: statistics.median(values),
                    f"{name}_min": min(values),
                    f"{name}_max": max(values),
                }
        return facts


def cpu_split() -> tuple[int, int]:
    """One CPU for the generator and one for the server; the same one where there is no other."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[-1]


@contextmanager
def pinned(cpu: int) -> Any:
    """Keeps the calling thread on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def thread_cpu_ns(pid: int, tid: int) -> int:
    """CPU time of a thread in nanoseconds (linux Documentation/scheduler/sched-stats.rst, schedstat)."""
    return int(Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()[0])


def measure(
    served: ServedLab,
    queue: int,
    rows: Sequence[Row],
    rounds: int = 3,
    seconds: float = 1.0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Outcome]:
    """Runs every row once a round, on one queue over IPv4; a row's echo runs in the same round.

    Calls ``progress`` with a line before each run.
    """
    client, server = served.lab.client, served.lab.server
    interface = client.interface()
    macs = (interface.mac, server.interface().mac)
    addresses = (ip_address(client.ipv4), ip_address(server.ipv4))
    tid = served.status()["queues"][str(queue)]["thread"]
    outcomes = {row.name: Outcome() for row in rows}
    with client.entered(), pinned(cpu_split()[0]), Load(interface, [queue]) as load:
        for number in range(rounds):
            for row in rows:
                progress(f"round {number + 1} of {rounds}: {row.name}")
                generator = load.generator(
                    queue,
                    row.service,
                    request_header(macs, addresses, row.port),
                    queries=row.queries,
                    echo_bytes=row.echo_bytes,
                )
                # The first tenth warms caches, rings and the flow of wake-ups.
                generator.run(seconds / 10, window=WINDOW)
                before, cpu = generator.counters(), thread_cpu_ns(served.pid, tid)
                generator.run(seconds, window=WINDOW)
                cpu = thread_cpu_ns(served.pid, tid) - cpu
                answered = generator.counters()["answered"] - before["answered"]
                generator.finish()
                total = generator.counters()
                outcome = outcomes[row.name]
                outcome.bad += total["wrong"] + total["lost"] + total["duplicate"]
                outcome.answers_per_s.append(answered / seconds)
                outcome.cpu_us.append(cpu / 1e3 / max(answered, 1))
                if row.beside:
                    echo = outcomes[row.beside].answers_per_s[-1]
                    outcome.ratio.append(outcome.answers_per_s[-1] / max(echo, 1))
    return outcomes
