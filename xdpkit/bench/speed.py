"""Answers per second of each service next to a bare echo of the same size, in interleaved rounds.

The demo's short measurement, on a running server; ``rounds.py`` has the full one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xdpkit.bench import cpu, probe
from xdpkit.bench.rows import Row
from xdpkit.bench.testbed import generator
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import ratio, spreads
from xdpkit.loadgen.setup import Load

# Open requests. veth's receive ring holds 256 frames (VETH_RING_SIZE, drivers/net/veth.c) and drops
# the rest: with fewer open, none is lost, and the rate is that of any larger window.
WINDOW = 192


@dataclass
class Outcome:
    """A row's rounds and the number of replies that were wrong, lost or duplicate."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    bad: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Medians, and the minimum and maximum of the rounds."""
        return {"wrong_lost_duplicate": self.bad, **spreads(self.rounds)}


def measure(
    served: ServedLab,
    queue: int,
    rows: Sequence[Row],
    rounds: int = 3,
    seconds: float = 1.0,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Outcome]:
    """Runs every row once per round, on one queue over IPv4; a row's echo runs in the same round.

    Calls ``progress`` with a line before each run.
    """
    lab = served.lab
    tid = served.status()["queues"][str(queue)]["thread"]
    outcomes = {row.name: Outcome() for row in rows}
    with (
        lab.client.entered(),
        cpu.pinned(cpu.split()[0]),
        Load(lab.client.interface(), [queue]) as load,
    ):
        generators = {
            row.name: generator(lab, load, row, queue, share=(which, len(rows)))
            for which, row in enumerate(rows)
        }
        for number in range(rounds):
            for row in rows:
                progress(f"round {number + 1} of {rounds}: {row.name}")
                # Warms up caches, rings and the pattern of wakeups.
                probe.run(generators[row.name], seconds / 10, window=WINDOW)
                before = cpu.thread_ns(served.pid, tid)
                # Nothing may be lost here, so late replies are waited for.
                measured = probe.run(
                    generators[row.name], seconds, window=WINDOW, quiet=probe.LAST_REPLIES
                )
                spent = cpu.thread_ns(served.pid, tid) - before
                outcome = outcomes[row.name]
                outcome.bad += measured.wrong + measured.duplicate
                outcome.bad += measured.sent - measured.replied
                figures = {
                    "answers_per_s": measured.answers_per_s,
                    "cpu_us_per_answer": ratio(spent / 1e3, measured.replied),
                }
                outcome.rounds.append(figures)
                if row.beside:
                    echo = outcomes[row.beside].rounds[-1]["answers_per_s"]
                    figures["ratio_to_echo"] = ratio(measured.answers_per_s, echo)
    return outcomes
