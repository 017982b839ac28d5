"""The NTP counters of the answering threads (``cext/ntp/counts.h``), as facts for ``status``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Error quantiles to show; the histogram has the rest.
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)

# RFC 5905 figure 10; mode 0 in version 1 is a client's (RFC 1059).
MODES = {0: "reserved", 1: "symmetric_active", 3: "client"}


def thread_facts(counters: Mapping[str, Any]) -> dict[str, Any]:
    """Facts about one queue or the UDP listener: its transmit timestamps and their errors.

    ``tx_timestamps`` is their source: hardware, completion, or kick (the clock read before the
    kick, whose error is unknown). Errors are the true time minus the reply's transmit timestamp,
    in nanoseconds.
    """
    error = {int(ns): count for ns, count in counters["tx_error"].items()}
    transmit = counters["transmit"]
    return {
        "tx_timestamps": transmit["source"],
        "tx_true": counters["tx_true"],
        "tx_missing": counters["tx_missing"],
        "tx_disbelieved": counters["tx_disbelieved"],
        "tx_compensation": {
            "base_ns": round(transmit["base_ns"], 1),
            "slope_ns": round(transmit["slope_ns"], 2),
        },
        "tx_error_ns": {f"p{q * 100:g}": quantile(error, q) for q in QUANTILES} if error else {},
        "tx_error": {str(ns): count for ns, count in sorted(error.items())},
        "clock_steps": counters["steps"],
        "leaked": counters["leaked"],
    }


def total_facts(threads: Sequence[Mapping[str, Any]], keys: Mapping[int, int]) -> dict[str, Any]:
    """Totals of all threads: requests by version and mode, authenticated replies by key ID, and the
    number of clients. ``keys`` is the counter slot of each key ID (``Admission``).
    """
    authenticated = _sums(thread["key"] for thread in threads)
    last = len(authenticated) - 1
    versions = _sums(thread["version"] for thread in threads)
    modes = _sums(thread["mode"] for thread in threads)
    return {
        "clients": estimate_clients([thread["clients"] for thread in threads]),
        "versions": {str(version): count for version, count in enumerate(versions) if count},
        "modes": {name: modes[mode] for mode, name in MODES.items() if modes[mode]},
        "keys": {str(key): authenticated[min(slot, last)] for key, slot in sorted(keys.items())},
    }


def _sums(rows: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)]


def quantile(histogram: Mapping[int, int], share: float) -> int:
    """The value that a fraction ``share`` does not exceed, by the buckets' lower bounds."""
    wanted = share * sum(histogram.values())
    seen = 0
    for value, count in sorted(histogram.items()):
        seen += count
        if seen >= wanted:
            return value
    raise ValueError("an empty histogram")


def estimate_clients(sketches: Sequence[bytes]) -> int:
    """How many distinct addresses the sketches have seen, within about 2 % (HyperLogLog).

    Flajolet, Fusy, Gandouet, and Meunier 2007, with their small-range correction.
    """
    registers = [max(column) for column in zip(*sketches, strict=True)]
    size = len(registers)
    empty = registers.count(0)
    estimate: float = (
        0.7213 / (1 + 1.079 / size) * size * size / sum(2.0**-rank for rank in registers)
    )
    if estimate <= 2.5 * size and empty:
        estimate = size * math.log(size / empty)
    return round(estimate)
