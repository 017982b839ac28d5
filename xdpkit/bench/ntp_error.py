"""``bench --ntp``: by how much later than its transmit timestamp says a reply really leaves.

At a few loads, with and without compensation, each with the control plane idle and with one that
builds garbage and collects it all the time (``littered.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from xdpkit.bench import cpu, probe
from xdpkit.bench import testbed as stand
from xdpkit.bench.ntp_rates import WINDOW, Case, own
from xdpkit.control.client import request
from xdpkit.loadgen.figures import histogram_delta, percentile, spreads

# By name: requests a second (0: as fast as it goes), and open requests at most. Bounded, so that a
# generator that was off its processor does not make other batches for one case than for another.
LOADS: Mapping[str, tuple[int, int]] = {
    "1,000/s": (1000, 1),
    "100,000/s": (100_000, 64),
    "saturated": (0, WINDOW),
}
COMPENSATION = ("off", "on")
# The control plane, and the verb of littered.py that makes it so.
CONTROL_PLANE = {"idle": "tidy", "garbage": "litter"}
PERCENTILES = {"p1": 1.0, "p10": 10.0, "p50": 50.0, "p90": 90.0, "p99": 99.0}
VERB_SECONDS = 20.0

Say = Callable[[str], None]
Key = tuple[str, str, str]


@dataclass
class Errors:
    """Of one load, compensation and control plane: percentiles by round, and all errors."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    histogram: Counter[int] = field(default_factory=Counter)


def measure(rounds: int, seconds: float, say: Say) -> list[dict[str, Any]]:
    """A row for each load, compensation and control plane, in nanoseconds."""
    found: dict[Key, Errors] = {
        key: Errors() for key in product(LOADS, COMPENSATION, CONTROL_PLANE)
    }
    with ExitStack() as stack:
        entries = {}
        for compensation in COMPENSATION:
            say(f"transmit error: starting a server with compensation {compensation}")
            entries[compensation] = stack.enter_context(stood(compensation))[0]
        with cpu.pinned(cpu.split()[0]):
            for number, (key, errors) in product(range(rounds), found.items()):
                load, compensation, plane = key
                say(
                    f"transmit error: round {number + 1} of {rounds}: {load}, compensation "
                    f"{compensation}, control plane {plane}"
                )
                entry = entries[compensation]
                tell(entry, CONTROL_PLANE[plane])
                add(errors, entry, load, seconds)
                tell(entry, CONTROL_PLANE["idle"])
    return [row(key, errors) for key, errors in found.items()]


def stood(compensation: str) -> Any:
    """The stand of one server, whose garbage is made on the generator's processor: what is to be
    seen is the interpreter's lock, not two threads on one processor."""
    case = Case(compensation, f"tx_compensation = {'true' if compensation == 'on' else 'false'}")
    generator_cpu, server_cpu = cpu.split()
    program = ("xdpkit.bench.gc_stress", str(generator_cpu))
    return stand.own(own(case, program), server_cpu, [case.name], stamps=True)


def tell(entry: stand.Entry, verb: str) -> None:
    """Has the server's control plane do something."""
    assert entry.served is not None  # it is ours
    side = entry.served.lab.server
    with side.entered():
        request(side.ifname, verb, time_limit=VERB_SECONDS)


def add(errors: Errors, entry: stand.Entry, load: str, seconds: float) -> None:
    """One round of a case, after half of its time to learn the load."""
    rate, window = LOADS[load]
    probe.run(entry.generator, seconds / 2, rate=rate, window=window)
    before = told(entry)
    probe.run(entry.generator, seconds, rate=rate, window=window)
    counted = histogram_delta(told(entry), before)
    if counted:
        errors.rounds.append({name: percentile(counted, p) for name, p in PERCENTILES.items()})
        errors.histogram.update(counted)


def told(entry: stand.Entry) -> dict[str, int]:
    """The transmit errors that the server has counted, by bucket."""
    assert entry.served is not None  # it is ours
    counts: dict[str, int] = entry.served.status()["queues"]["0"]["ntp"]["tx_error"]
    return counts


def row(key: Key, errors: Errors) -> dict[str, Any]:
    """For JSON: medians of the rounds with least and most, and the histogram of all of them."""
    load, compensation, plane = key
    return {
        "load": load,
        "compensation": compensation,
        "control_plane": plane,
        "replies": errors.histogram.total(),
        **spreads(errors.rounds),
        "histogram": {str(at): errors.histogram[at] for at in sorted(errors.histogram)},
    }
