"""The document that ``xdpkit status --json`` prints, built from plain counters.

Nothing is read here: the instance passes the counters of its workers, the listeners of its slow
path and the XDP program, each an array indexed by verdict (ebpf/service.h), and gets a dict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class Verdict(Protocol):
    """A row of ``xdpkit._core._stats.VERDICTS``; ``kind`` is take, pass, answer or drop."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Obtained:
    """What the instance obtained from the machine, which may be less than it requested.

    ``mode`` is native or generic, ``timestamps`` the source of receive stamps, ``steering`` how
    requests reach the served queues.
    """

    interface: str
    mode: str
    zerocopy: bool
    timestamps: str
    pid: int
    uptime_s: float
    steering: str = "none"


@dataclass(frozen=True)
class VerdictCounts:
    """Counts in the order of VERDICTS: of workers and the XDP program by RX queue, of listeners.

    An array may be shorter or longer than the table of verdicts: missing slots count as 0, and
    slots without a verdict are ignored. ``udp`` and ``tcp``, the slow path, are None if there is
    no such listener.
    """

    workers: Mapping[int, Sequence[int]]
    xdp: Mapping[int, Sequence[int]] = field(default_factory=dict)
    udp: Sequence[int] | None = None
    tcp: Sequence[int] | None = None


def document(
    verdicts: Sequence[Verdict],
    obtained: Obtained,
    counters: VerdictCounts,
    zones: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """The status of one instance.

    ``verdicts`` has every name, even with a count of 0, so that scripts find it; ``answered``,
    ``dropped`` and ``xdp`` have only what occurred; ``slow_path`` has the existing listeners.
    """
    listeners = {"udp": counters.udp, "tcp": counters.tcp}
    slow_path = {name: counts for name, counts in listeners.items() if counts is not None}
    arrays = [*counters.workers.values(), *counters.xdp.values(), *slow_path.values()]
    totals = [0] * len(verdicts)
    for counts in arrays:
        # An array may be shorter or longer. int(): JSON does not support NumPy or array scalars.
        for index, count in enumerate(counts[: len(totals)]):
            totals[index] += int(count)
    return {
        "interface": obtained.interface,
        "mode": obtained.mode,
        "zerocopy": obtained.zerocopy,
        "steering": obtained.steering,
        "timestamps": obtained.timestamps,
        "pid": obtained.pid,
        "uptime_s": round(obtained.uptime_s, 3),
        "queues": {
            str(queue): _answering(verdicts, counts)
            for queue, counts in sorted(counters.workers.items())
        },
        "slow_path": {name: _answering(verdicts, counts) for name, counts in slow_path.items()},
        "xdp": {
            str(queue): _occurred(verdicts, counts)
            for queue, counts in sorted(counters.xdp.items())
        },
        "verdicts": dict(zip((verdict.name for verdict in verdicts), totals, strict=True)),
        "zones": dict(zones or {}),
    }


def _answering(verdicts: Sequence[Verdict], counts: Sequence[int]) -> dict[str, Any]:
    """What one worker or listener received, answered, and dropped."""
    answered = _occurred(verdicts, counts, "answer")
    dropped = _occurred(verdicts, counts, "drop")
    tx = sum(answered.values())
    return {
        "rx": tx + sum(dropped.values()),
        "tx": tx,
        "answered": answered,
        "dropped": dropped,
    }


def _occurred(
    verdicts: Sequence[Verdict], counts: Sequence[int], kind: str | None = None
) -> dict[str, int]:
    """The verdicts that occurred, all or of one kind, and their counts."""
    return {
        verdict.name: int(count)
        for verdict, count in zip(verdicts, counts, strict=False)
        if count and kind in (None, verdict.kind)
    }
