"""``bench --spin``: what an echo's answers per second depend on.

It varies the work per answer, how the worker waits, how many requests are open, and the number of
queues.
"""

from __future__ import annotations

import statistics
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from rich.console import Console

from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu, probe, rows, testbed
from xdpkit.bench.table import text_table
from xdpkit.errors import XdpkitError
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.setup import Load

SPINS = (0, 100, 200, 500, 1000, 2000, 5000)
WINDOWS = (1, 4, 16, 64, 256, 1024)
QUEUES = (1, 2, 4)
# Queues are compared with far more work per answer than the kernel's share, and with none.
QUEUE_SPINS = (0, 2000)
WINDOW = 1024
ROUNDS = 3
SECONDS = 0.5

Say = Callable[[str], None]
Lines = dict[str, list[list[float]]]


def measure(options: Namespace, say: Say) -> dict[str, Any]:
    """The three series, each ``{label: [[x, median, min, max], ...]}``."""
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    return {
        "rounds": rounds,
        "seconds": seconds,
        "series": {
            "spin": {"what": "spin_ns", "lines": spins(rounds, seconds, say)},
            "windows": {"what": "open requests", "lines": windows(rounds, seconds, say)},
            "queues": {"what": "queues", "lines": queues(rounds, seconds, say)},
        },
    }


def poll_modes() -> tuple[str, ...]:
    """How a worker can wait, in this version."""
    return ("wait", "busy") if rows.has_poll() else ("wait",)


def spins(rounds: int, seconds: float, say: Say) -> Lines:
    """Answers per second against [echo] spin_ns; all servers up at once, measured in turn."""
    with ExitStack() as stack:
        entries = {}
        for spin in SPINS:
            say(f"starting a server with spin_ns = {spin}")
            [entry] = stack.enter_context(
                testbed.own_server(rows.slowed(spin), cpu.split()[1], ["echo-spin"])
            )
            entries[("wait", spin)] = entry
        found: dict[tuple[str, int], list[float]] = in_turns(entries, rounds, seconds, say)
    # A busy-polling worker never sleeps, so only one such server can run at a time.
    for poll in poll_modes()[1:]:
        for spin in SPINS:
            server = rows.slowed(spin, poll)
            with testbed.own_server(server, cpu.split()[1], ["echo-spin"]) as [entry]:
                found |= in_turns({(poll, spin): entry}, rounds, seconds, say)
    return {poll: [point(spin, found[poll, spin]) for spin in SPINS] for poll in poll_modes()}


def in_turns(
    entries: dict[tuple[str, int], testbed.Entry], rounds: int, seconds: float, say: Say
) -> dict[tuple[str, int], list[float]]:
    """Answers per second of each entry, for each round."""
    found: dict[tuple[str, int], list[float]] = {key: [] for key in entries}
    with cpu.pinned(cpu.split()[0]):
        for number in range(rounds):
            for (poll, spin), entry in entries.items():
                say(f"round {number + 1} of {rounds}: poll {poll}, spin {spin} ns")
                found[poll, spin].append(answers(entry.generator, seconds, WINDOW))
    return found


def answers(generator: Generator, seconds: float, window: int) -> float:
    """Answers per second, after a warm-up of a tenth. Raises XdpkitError if one was wrong."""
    probe.run(generator, seconds / 10, window=window)
    measured = probe.run(generator, seconds, window=window)
    if measured.wrong:
        raise XdpkitError(f"echo: {measured.wrong:,} wrong replies")
    return measured.answers_per_s


def point(x: float, values: Sequence[float]) -> list[float]:
    """x, median, minimum, maximum."""
    return [x, statistics.median(values), min(values), max(values)]


def windows(rounds: int, seconds: float, say: Say) -> Lines:
    """Answers per second against open requests, which bound the loop's batches."""
    lines: Lines = {}
    for poll in poll_modes():
        with (
            testbed.own_server(rows.slowed(0, poll), cpu.split()[1], ["echo-spin"]) as [entry],
            cpu.pinned(cpu.split()[0]),
        ):
            found: dict[int, list[float]] = {window: [] for window in WINDOWS}
            for number in range(rounds):
                for window in WINDOWS:
                    say(f"round {number + 1} of {rounds}: poll {poll}, {window} open")
                    found[window].append(answers(entry.generator, seconds, window))
        lines[poll] = [point(window, values) for window, values in found.items()]
    return lines


def queues(rounds: int, seconds: float, say: Say) -> Lines:
    """Answers per second of all queues together, with one worker and one sender thread each.

    On all CPUs: with only two, more than one queue just divides the same CPU time.
    """
    lines: Lines = {}
    for spin in QUEUE_SPINS:
        lines[f"spin {spin} ns"] = [
            point(count, on_queues(count, spin, rounds, seconds, say)) for count in QUEUES
        ]
    return lines


def on_queues(count: int, spin: int, rounds: int, seconds: float, say: Say) -> list[float]:
    """Answers per second for each round, with this many queues."""
    server = rows.slowed(spin, queues=range(count))
    with ServedLab(server.configuration, queues=count) as served:
        client = served.lab.client
        with client.entered(), Load(client.interface(), range(count)) as load:
            generators = [
                testbed.generator(served.lab, load, server.rows[0], queue) for queue in range(count)
            ]
            found = []
            for number in range(rounds):
                say(f"round {number + 1} of {rounds}: {count} queues, spin {spin} ns")
                found.append(run_together(generators, seconds))
            return found


def run_together(generators: Sequence[Generator], seconds: float) -> float:
    """Runs one pinned thread per load generator; returns the sum of their answers per second."""
    cpus = cpu.available()
    found: list[float] = []

    def work(number: int) -> None:
        with cpu.pinned(cpus[number % len(cpus)]):
            found.append(answers(generators[number], seconds, WINDOW))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(generators))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < len(generators):
        raise XdpkitError("a load generator ended early")
    return sum(found)


def show(facts: dict[str, Any], console: Console) -> None:
    """Prints the facts for a human reader: one table per series."""
    console.print(
        f"Echo answers/s, medians of {facts['rounds']} rounds (least..most); {facts['driver']}, "
        f"Linux {facts['kernel']}, {facts['cpu']}"
    )
    for series in facts["series"].values():
        labels = list(series["lines"])
        table = []
        for position, (x, *_) in enumerate(series["lines"][labels[0]]):
            cells = []
            for label in labels:
                _, median, least, most = series["lines"][label][position]
                cells.append(f"{median:,.0f} ({least:,.0f}..{most:,.0f})")
            table.append([f"{x:g}", *cells])
        console.print()
        console.print(text_table([series["what"], *labels], table))
