"""The measurement: every row, probe by probe, in interleaved rounds.

Within a round, each kind of probe is run for all rows before the next kind, so figures that are
compared were measured within seconds of each other: rates drift by tens of percent over minutes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xdpkit.bench import probe
from xdpkit.bench.probe import Probe
from xdpkit.bench.testbed import Entry
from xdpkit.loadgen.figures import PERCENTILES, ratio, spreads

# Open requests: enough that no server waits for the load generator, or few enough to fit a
# socket's buffer.
WINDOWS = (64, 256, 1024)

# The search for the highest loss-free rate starts this much above the best window's rate.
ABOVE = 1.1

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How many rounds, how long a probe (seconds), and the rate for the CPU time probe."""

    rounds: int = 3
    seconds: float = 1.0
    load: int = 100_000
    steps: int = probe.STEPS


@dataclass
class Result:
    """A row's figures, one dict per round, and how many replies were not right in total."""

    entry: Entry
    rounds: list[dict[str, float]] = field(default_factory=list)
    wrong: int = 0
    duplicate: int = 0
    late: int = 0

    def count(self, measured: Probe) -> Probe:
        """Adds a probe's counts of bad replies."""
        self.wrong += measured.wrong
        self.duplicate += measured.duplicate
        self.late += measured.late
        return measured

    def as_dict(self) -> dict[str, object]:
        """The row for JSON: medians, minimum and maximum of the rounds."""
        return {
            "name": self.entry.row.name,
            "service": self.entry.row.service,
            "server": self.entry.server,
            "beside": self.entry.row.beside,
            "wrong": self.wrong,
            "duplicate": self.duplicate,
            "late": self.late,
            **spreads(self.rounds),
        }


def measure(entries: Sequence[Entry], plan: Plan, say: Say) -> dict[str, Result]:
    """Runs all rounds; returns results by row name. The calling thread should be pinned."""
    results = {entry.row.name: Result(entry) for entry in entries}
    for number in range(plan.rounds):
        for result in results.values():
            result.rounds.append({})

        def reporter(what: str, number: int = number) -> Say:
            return lambda name: say(f"round {number + 1} of {plan.rounds}: {what}: {name}")

        alive = list(results.values())
        _best(alive, plan, reporter("highest rate"))
        alive = [result for result in alive if result.rounds[-1]["answers_per_s"]]
        for what, step in (
            ("overload", _overload),
            ("rate without loss", _loss_free),
            ("CPU time", _cpu),
            ("latency", _latency),
        ):
            for result in alive:
                reporter(what)(result.entry.row.name)
                step(result, plan)
        for result in alive:
            _ratio_to_echo(result, results)
    return results


def _best(results: Sequence[Result], plan: Plan, say: Say) -> None:
    """The best of several windows."""
    for window in WINDOWS:
        for result in results:
            entry, figures = result.entry, result.rounds[-1]
            say(f"{entry.row.name}, {window} open")
            # A tenth of the time warms up caches, rings and the pattern of wakeups.
            probe.run(entry.generator, plan.seconds / 20, window=window)
            measured = result.count(probe.run(entry.generator, plan.seconds / 2, window=window))
            figures.setdefault("answers_per_s", 0.0)
            _better(figures, measured)


def _overload(result: Result, plan: Plan) -> None:
    """Twice the best rate, open loop; a server may answer more here than in a closed loop."""
    entry, figures = result.entry, result.rounds[-1]
    rate = int(2 * figures["answers_per_s"])
    before = entry.cpu_used()
    measured = result.count(probe.run(entry.generator, plan.seconds, rate=rate))
    cpu = entry.cpu_used().per_answer(before, measured.replied)
    figures |= {
        "cpu_us_saturated": cpu["cpu_us_per_answer"],
        "overload_per_s": measured.answers_per_s,
        "overload_offered_per_s": measured.sent_per_s,
    }
    _better(figures, measured)


def _better(figures: dict[str, float], measured: Probe) -> None:
    if measured.answers_per_s > figures["answers_per_s"]:
        figures |= {"answers_per_s": measured.answers_per_s, "loss": measured.loss}


def _loss_free(result: Result, plan: Plan) -> None:
    figures = result.rounds[-1]

    def probe_at(rate: int) -> Probe:
        measured = result.count(probe.run(result.entry.generator, plan.seconds / 3, rate=rate))
        _better(figures, measured)
        return measured

    most = ABOVE * figures["answers_per_s"]
    figures["lossfree_per_s"] = probe.loss_free(probe_at, most, plan.steps)
    figures["overload_ratio"] = ratio(figures["overload_per_s"], figures["answers_per_s"])


def _cpu(result: Result, plan: Plan) -> None:
    """CPU time per answer, at the same load for all."""
    entry = result.entry
    before, worker = entry.cpu_used(), entry.worker_ns()
    measured = result.count(probe.run(entry.generator, plan.seconds, rate=plan.load))
    result.rounds[-1] |= entry.cpu_used().per_answer(before, measured.replied)
    if entry.worker:
        spent = (entry.worker_ns() - worker) / 1e3
        result.rounds[-1]["thread_cpu_us"] = ratio(spent, measured.replied)


def _latency(result: Result, plan: Plan) -> None:
    """Percentiles at half of the best rate."""
    figures, generator = result.rounds[-1], result.entry.generator
    rate = max(int(figures["answers_per_s"] / 2), 1)
    result.count(probe.run(generator, plan.seconds, rate=rate))
    for name, percentile in PERCENTILES.items():
        figures[f"{name}_us"] = generator.latency_ns(percentile) / 1e3


def _ratio_to_echo(result: Result, results: dict[str, Result]) -> None:
    """The ratio to the echo in the same round, if that echo is measured."""
    beside = results.get(result.entry.row.beside or "")
    if beside:
        base = beside.rounds[-1].get("answers_per_s", 0)
        result.rounds[-1]["ratio_to_echo"] = ratio(result.rounds[-1]["answers_per_s"], base)


def median_ratios(results: dict[str, Result], ours: str, theirs: str) -> dict[str, float]:
    """Ours over another row, medians of the rounds' ratios; {} if either is missing."""
    pairs = [
        (our_round, their_round)
        for our_round, their_round in zip(
            results[ours].rounds if ours in results else [],
            results[theirs].rounds if theirs in results else [],
            strict=False,
        )
        if "cpu_us_per_answer" in our_round and "cpu_us_per_answer" in their_round
    ]
    names = ("answers_per_s", "lossfree_per_s", "cpu_us_per_answer", "cpu_us_saturated")
    return {
        name: statistics.median(ratio(ours[name], theirs[name]) for ours, theirs in pairs)
        for name in names
        if pairs
    }
