"""Single measurements of one server: as fast as a window allows, or at a rate; and the search for
the highest rate without loss.

A probe leaves nothing open behind: a reply that came to the next one would be judged there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from xdpkit._core._loadgen import Generator
from xdpkit.loadgen.figures import loss

# What is left at a probe's end is waited for until nothing has come for so long.
QUIET = 0.1
LAST_REPLIES = 1.0

# A rate counts as free of loss below this share, and the search ends at this share of its bound.
LOSS_FREE = 0.001
STEPS = 6


@dataclass(frozen=True)
class Probe:
    """What one measurement gave; rates per second of the time in which requests were sent."""

    seconds: float
    sent: int
    answered: int
    """Within the time."""
    replied: int
    """Answered at all, the last ones after the time."""
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

    Answers that come after the last request was sent count for the loss, not for the rate.
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
    """The highest answered rate below ``most`` at which a probe had less than 0.1 % lost.

    Bisection; a probe that failed is repeated once, since a stolen processor fails any.
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
