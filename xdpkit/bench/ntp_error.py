"""``bench --ntp``: how much later than its transmit timestamp a reply really leaves.

At a few loads, with and without compensation, each with an idle control plane and with one that
constantly creates and collects garbage (``gc_stress.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from xdpkit.bench import cpu, probe, testbed
from xdpkit.bench.ntp_rates import WINDOW, Case, server_for
from xdpkit.control.client import request
from xdpkit.loadgen.figures import histogram_delta, percentile, spreads

# By name: requests per second (0: as fast as possible), and the most open requests. Bounded, so
# that a load generator that lost its CPU does not make larger batches for one case than another.
LOADS: Mapping[str, tuple[int, int]] = {
    "1,000/s": (1000, 1),
    "100,000/s": (100_000, 64),
    "saturated": (0, WINDOW),
}
COMPENSATION = ("off", "on")
# States of the control plane, and the verb of gc_stress.py that sets each.
CONTROL_PLANE = {"idle": "gc-rest", "garbage": "gc-stress"}
PERCENTILES = {"p1": 1.0, "p10": 10.0, "p50": 50.0, "p90": 90.0, "p99": 99.0}
VERB_SECONDS = 20.0

Say = Callable[[str], None]
Key = tuple[str, str, str]


@dataclass
class Errors:
    """For one load, compensation and control plane: percentiles by round, and all errors."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    histogram: Counter[int] = field(default_factory=Counter)


def measure(rounds: int, seconds: float, say: Say) -> list[dict[str, Any]]:
    """One row for each load, compensation and control plane, in nanoseconds."""
    found: dict[Key, Errors] = {
        key: Errors() for key in product(LOADS, COMPENSATION, CONTROL_PLANE)
    }
    with ExitStack() as stack:
        entries = {}
        for compensation in COMPENSATION:
            say(f"transmit error: starting a server with compensation {compensation}")
            entries[compensation] = stack.enter_context(server_with(compensation))[0]
        with cpu.pinned(cpu.split()[0]):
            for number, (key, errors) in product(range(rounds), found.items()):
                load, compensation, plane = key
                say(
                    f"transmit error: round {number + 1} of {rounds}: {load}, compensation "
                    f"{compensation}, control plane {plane}"
                )
                entry = entries[compensation]
                request_verb(entry, CONTROL_PLANE[plane])
                run_round(errors, entry, load, seconds)
                request_verb(entry, CONTROL_PLANE["idle"])
    return [row(key, errors) for key, errors in found.items()]


def server_with(compensation: str) -> Any:
    """The testbed of one server, whose garbage is made on the load generator's CPU: the point is
    the GIL, not two threads sharing one CPU."""
    case = Case(compensation, f"tx_compensation = {'true' if compensation == 'on' else 'false'}")
    generator_cpu, server_cpu = cpu.split()
    program = ("xdpkit.bench.gc_stress", str(generator_cpu))
    return testbed.own_server(server_for(case, program), server_cpu, [case.name], stamps=True)


def request_verb(entry: testbed.Entry, verb: str) -> None:
    """Sends a verb to the server's control socket."""
    assert entry.served is not None  # it is ours
    side = entry.served.lab.server
    with side.entered():
        request(side.ifname, verb, time_limit=VERB_SECONDS)


def run_round(errors: Errors, entry: testbed.Entry, load: str, seconds: float) -> None:
    """One round of a case, after a warm-up of half its length to learn the load."""
    rate, window = LOADS[load]
    probe.run(entry.generator, seconds / 2, rate=rate, window=window)
    before = tx_errors(entry)
    probe.run(entry.generator, seconds, rate=rate, window=window)
    counted = histogram_delta(tx_errors(entry), before)
    if counted:
        errors.rounds.append({name: percentile(counted, p) for name, p in PERCENTILES.items()})
        errors.histogram.update(counted)


def tx_errors(entry: testbed.Entry) -> dict[str, int]:
    """The server's counts of transmit errors, by bucket."""
    assert entry.served is not None  # it is ours
    counts: dict[str, int] = entry.served.status()["queues"]["0"]["ntp"]["tx_error"]
    return counts


def row(key: Key, errors: Errors) -> dict[str, Any]:
    """For JSON: medians of the rounds with minimum and maximum, and the histogram of all."""
    load, compensation, plane = key
    return {
        "load": load,
        "compensation": compensation,
        "control_plane": plane,
        "replies": errors.histogram.total(),
        **spreads(errors.rounds),
        "histogram": {str(bucket): errors.histogram[bucket] for bucket in sorted(errors.histogram)},
    }
