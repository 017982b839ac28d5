"""A reload of a server in the lab, and what became of the requests meanwhile."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from xdpkit._core._loadgen import Generator
from xdpkit.control.client import request
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import spread

# Longer than loading a million names takes.
RELOAD_SECONDS = 900.0

Facts = dict[str, Any]


def reload(served: ServedLab) -> float:
    """Seconds until the threads answer from the new zones. Raises XdpkitError."""
    started = time.monotonic()
    with served.lab.server.entered():
        request(served.lab.server.ifname, "reload", time_limit=RELOAD_SECONDS)
    return time.monotonic() - started


def outcome(load: Generator, seconds: Sequence[float], rate: int) -> Facts:
    """What the generator counted at a rate, while reloads took so many seconds each."""
    counters = load.counters()
    return {
        "reloads": len(seconds),
        "rate_per_s": rate,
        **spread("reload_s", seconds),
        **{name: counters[name] for name in ("sent", "answered", "wrong", "duplicate", "late")},
        "lost": counters["lost"],
        "changes": load.versions,
        "p99_9_us": load.latency_ns(99.9) / 1000,
        "latency_max_us": load.latency_ns(100) / 1000,
    }


def failures(name: str, part: Facts) -> list[str]:
    """What makes the run fail."""
    found = [f"{name}: {part[what]:,} {what}" for what in ("wrong", "lost") if part[what]]
    if part["changes"] != part["reloads"]:
        found.append(
            f"{name}: the version changed {part['changes']} times in {part['reloads']} reloads"
        )
    return found


def table_rows(part: Facts) -> list[list[str]]:
    """What became of the requests during the reloads."""
    return [
        ["requests/s", f"{part['rate_per_s']:,}"],
        [
            "a reload, s: median (least..most)",
            f"{part['reload_s']:.2f} ({part['reload_s_min']:.2f}..{part['reload_s_max']:.2f})",
        ],
        ["sent", f"{part['sent']:,}"],
        ["answered", f"{part['answered']:,}"],
        ["wrong or of two versions / lost", f"{part['wrong']:,} / {part['lost']:,}"],
        ["changes of version seen", f"{part['changes']:,}"],
        ["latency p99.9 / most, us", f"{part['p99_9_us']:,.0f} / {part['latency_max_us']:,.0f}"],
    ]
