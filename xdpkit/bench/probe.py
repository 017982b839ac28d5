"""Single measurements of one server: as fast as a window allows, or at a rate; and the search for
the highest rate without loss.

A probe leaves no request open: its reply would otherwise be judged by the next probe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdpkit._core._loadgen import Generator
from xdpkit.loadgen.figures import loss

# After a probe, outstanding replies are awaited until none has arrived for this long, seconds.
QUIET = 0.1
LAST_REPLIES = 1.0

# A rate counts as loss-free below this share of lost requests. The search halves its interval
# this many times.
LOSS_FREE = 0.001
STEPS = 6


@dataclass(frozen=True)
class Probe:
    """Results of one measurement; rates are per second of the time spent sending."""

    seconds: float
    sent: int
    answered: int
    """Within that time."""
    replied: int
    """Answered at all, including after that time."""
    wrong: int
    duplicate: int
    late: int

    @property
    def answers_per_s(self) -> float:
        return self.answered / self.seconds

    @property
    def sent_per_s(self) -> float:
        return self.sent / self.seconds

    @property
    def loss(self) -> float:
        return loss(self.sent, self.replied)


def run(
    generator: Generator,
    seconds: float,
    *,
    rate: int = 0,
    window: int = 0,
    quiet: float = QUIET,
) -> Probe:
    """Sends for ``seconds``: at ``rate`` requests a second, or with ``window`` of them open.

    Answers that arrive after the last request was sent count for the loss, not for the rate.
    """
    generator.clear()
    generator.run(seconds, rate=rate, window=window)
    in_time = generator.counters()["answered"]
    generator.finish(LAST_REPLIES, quiet=quiet)
    counters = generator.counters()
    return Probe(
        seconds,
        counters["sent"],
        in_time,
        counters["answered"],
        counters["wrong"],
        counters["duplicate"],
        counters["late"],
    )


def loss_free(measure: Callable[[int], Probe], most: float, steps: int = STEPS) -> float:
    """The highest answered rate below ``most`` at which a probe lost less than 0.1 %.

    Bisection; a failed probe is repeated once, since losing the CPU makes any probe fail.
    """
    low, high, best = 0.0, most, 0.0
    rate = most
    for _ in range(steps):
        probe = measure(max(int(rate), 1))
        if probe.loss >= LOSS_FREE:
            probe = measure(max(int(rate), 1))
        if probe.loss < LOSS_FREE:
            best, low = max(best, probe.answers_per_s), rate
        else:
            high = rate
        if high - low < most / 2**STEPS:
            break
        rate = (low + high) / 2
    return best
