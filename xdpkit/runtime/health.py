"""Healthy, degraded or down: what ``status``, ``/health``, the metrics and systemd say alike.

Each part of an instance gives its reasons; one that is down makes the whole down. Degraded is what
still answers, but not all that it should, as fast as it should or from what it should.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

HEALTHY, DEGRADED, DOWN = STATES = ("healthy", "degraded", "down")

# What can be wrong, for metrics: each has its place from the start.
KINDS = (
    "not_answered",
    "worker_dead",
    "worker_stalled",
    "queue_detached",
    "listener_stalled",
    "program_detached",
    "link_down",
    "no_address",
    "port_not_served",
    "port_left",
    "zone_stale",
    "zone_failed",
    "status_file",
    "holdover",
    "not_synchronized",
    "losses",
    "reload_failed",
)

# Reasons that systemd's one line names.
_NAMED = 3


@dataclass(frozen=True)
class Reason:
    """Why an instance is not healthy: one of KINDS, one line, and whether it is down for it.

    ``count`` is of how many things, where the line is of several.
    """

    kind: str
    text: str
    down: bool = False
    count: int = 1


@dataclass(frozen=True)
class Health:
    """The state of one instance, and every reason, those for which it is down first."""

    reasons: tuple[Reason, ...] = ()

    @classmethod
    def of(cls, reasons: Iterable[Reason]) -> Health:
        return cls(tuple(sorted(reasons, key=lambda reason: not reason.down)))

    @property
    def state(self) -> str:
        """One of STATES."""
        if any(reason.down for reason in self.reasons):
            return DOWN
        return DEGRADED if self.reasons else HEALTHY

    def facts(self) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        counts = dict.fromkeys(KINDS, 0)
        for reason in self.reasons:
            counts[reason.kind] += reason.count
        return {
            "state": self.state,
            "reasons": [
                {"kind": each.kind, "down": each.down, "text": each.text} for each in self.reasons
            ],
            "counts": counts,
        }

    def lines(self) -> list[str]:
        """The state, and a line for each reason."""
        return [self.state, *(reason.text for reason in self.reasons)]

    def sentence(self) -> str:
        """The state and the first reasons in one line."""
        if not self.reasons:
            return self.state
        more = len(self.reasons) - _NAMED
        named = "; ".join(reason.text for reason in self.reasons[:_NAMED])
        return f"{self.state}: {named}" + (f"; and {more} more" if more > 0 else "")


# Exit statuses of ``xdpkit status`` by state: 1 is that there is no instance, 2 a wrong usage.
EXIT: Mapping[str, int] = {HEALTHY: 0, DEGRADED: 3, DOWN: 4}
