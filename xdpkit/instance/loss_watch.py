"""Whether more is lost than [interface] max_loss_ppm allows, over the last minute.

A sample of ``where`` is kept every few seconds. What is compared with the bound is the share of
each row of its sums, so that a flood of the slow path shows beside a ring that answers a thousand
times as much, and the NIC's share of all that arrived.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from xdpkit.runtime.health import Reason
from xdpkit.status.places import PLACES

# What is looked back on, and how often a sample is taken.
WINDOW_SECONDS = 60.0
SAMPLE_SECONDS = 5.0

# A tick of the event loop may come late.
_SAMPLES = int(WINDOW_SECONDS / SAMPLE_SECONDS) + 2

_PPM = 1_000_000


class _Sample(NamedTuple):
    at: float
    sums: dict[str, tuple[int, int]]
    """Received and lost, by what the sum is of."""
    lost: dict[tuple[str, str], int]
    """Packets by place and where it is."""


class LossWatch:
    """Samples of one instance; times are those of ``time.monotonic``."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_SAMPLES)

    def sample(self, where: Mapping[str, Any], now: float) -> None:
        """Keeps what was counted until now."""
        self._samples.append(_sample(where, now))

    def problems(self, where: Mapping[str, Any], now: float, max_ppm: int) -> list[Reason]:
        """A reason for each row that lost more than the bound since the window's first sample."""
        window = [each for each in self._samples if now - each.at <= WINDOW_SECONDS]
        if not window:
            return []
        first, last = window[0], _sample(where, now)
        seconds = max(now - first.at, 1.0)
        found = []
        for what, (received, lost) in last.sums.items():
            before = first.sums.get(what, (0, 0))
            received, lost = received - before[0], lost - before[1]
            if lost > 0 and lost * _PPM > received * max_ppm:
                share = 100 * lost / max(received, lost)
                found.append(
                    Reason(
                        "losses",
                        f"{what} lost {lost:,} packets in {seconds:.0f} s, {share:.2g} % of those "
                        f"that came{_most(first, last, what)}",
                    )
                )
        return found


def _sample(where: Mapping[str, Any], now: float) -> _Sample:
    sums = {row["what"]: (row["received"], row["lost"]) for row in where["sums"]}
    lost = {(row["place"], row["at"]): row["packets"] for row in where["lost"]}
    nic = sum(count for (place, _), count in lost.items() if place == "nic_ring")
    on_queues = (row["received"] for row in where["sums"] if not row["path"].startswith("slow"))
    sums["the NIC"] = (sum(on_queues) + nic, nic)
    return _Sample(now, sums, lost)


def _most(first: _Sample, last: _Sample, what: str) -> str:
    """The place that lost most of them, and what mends it."""
    own = {
        key: count - first.lost.get(key, 0)
        for key, count in last.lost.items()
        if _is_in(key, what) and count > first.lost.get(key, 0)
    }
    if not own:
        return ""
    place, at = max(own, key=lambda key: own[key])
    known = PLACES[place]
    return f": {known.text} ({at}): {known.mend.format(at=at)}"


def _is_in(key: tuple[str, str], what: str) -> bool:
    """Whether a place belongs to what a sum is of."""
    place, at = key
    if what == "the NIC":
        return place == "nic_ring"
    return place != "nic_ring" and (at == what or f"slow path {at.split()[0]}" == what)
