"""The document that ``xdpkit status --json`` prints, from plain counters.

Nothing is read here: the instance passes what its workers, the listeners of its slow path and the XDP
program counted, each an array indexed by verdict (ebpf/steer.h), and gets a dict that JSON can hold.
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


class Zone(Protocol):
    """What status tells of a zone that is served."""

    @property
    def serial(self) -> int: ...
    @property
    def names(self) -> int: ...


@dataclass(frozen=True)
class Obtained:
    """What the instance is and got from the machine, which may be less than it asked for.

    ``mode`` is native or generic, ``timestamps`` where receive times come from, ``steering`` how
    requests get onto the chosen queues.
    """

    interface: str
    mode: str
    zerocopy: bool
    timestamps: str
    pid: int
    uptime_s: float
    steering: str = "none"


@dataclass(frozen=True)
class Counters:
    """Counts by verdict id: of each worker and of the XDP program by RX queue, of each listener.

    An array may be shorter or longer than the table of verdicts: what is not there counts as 0,
    and slots without a verdict are not looked at. ``udp`` and ``tcp``, the slow path, are None
    where there is no such listener.
    """

    workers: Mapping[int, Sequence[int]]
    xdp: Mapping[int, Sequence[int]] = field(default_factory=dict)
    udp: Sequence[int] | None = None
    tcp: Sequence[int] | None = None


def document(
    verdicts: Sequence[Verdict],
    obtained: Obtained,
    counters: Counters,
    zones: Mapping[str, Zone] | None = None,
) -> dict[str, Any]:
    """The status of one instance.

    Under ``verdicts`` every name stands, also with 0, so that a script finds it; ``answered``,
    ``dropped`` and ``xdp`` have only what occurred; ``slow_path`` has the listeners that there are.
    """
    listeners = {"udp": counters.udp, "tcp": counters.tcp}
    slow_path = {name: counts for name, counts in listeners.items() if counts is not None}
    arrays = [*counters.workers.values(), *counters.xdp.values(), *slow_path.values()]
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
        "verdicts": {
            verdict.name: sum(_count(counts, index) for counts in arrays)
            for index, verdict in enumerate(verdicts)
        },
        "zones": {
            name: {"serial": zone.serial, "names": zone.names}
            for name, zone in sorted((zones or {}).items())
        },
    }


def _answering(verdicts: Sequence[Verdict], counts: Sequence[int]) -> dict[str, Any]:
    """Of one worker or listener: what it received, answered, and ended without an answer."""
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
    """Name and count of the verdicts, all or of one kind, that occurred."""
    return {
        verdict.name: _count(counts, index)
        for index, verdict in enumerate(verdicts)
        if _count(counts, index) and kind in (None, verdict.kind)
    }


def _count(counts: Sequence[int], index: int) -> int:
    # int(): a NumPy or array scalar would not go into JSON.
    return int(counts[index]) if index < len(counts) else 0
