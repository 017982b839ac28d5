"""Where each packet went: sums that add up, and the places that lose.

    received = answered + dropped + passed + lost + in transit

for every RX queue of the interface, as the XDP program saw it, and for each listener of the slow
path: what that received is part of what was passed to the kernel, or came from this host. What the
NIC itself lost never reached a queue. Replies that were lost after they were answered count as lost
alone. In transit is what waits on a ring, or came in between the reading of two counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from xdpkit.status.document import Verdict

FIELDS = ("received", "answered", "dropped", "passed", "lost", "in_transit")

Loss = tuple[str, str, int]
"""The name of a place (``places.py``), where it is, packets."""


def where(document: Mapping[str, Any], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """``where`` of ``xdpkit status --json``, from the rest of that document.

    ``sums`` has a row for each queue and listener, ``lost`` one for each place.
    """
    kinds = {verdict.name: verdict.kind for verdict in verdicts}
    queues = sorted({*document["queues"], *document["xdp"]}, key=int)
    sums = [_queue_sum(document, queue, kinds) for queue in queues]
    slow_path = document["slow_path"]
    sums += [_listener_sum(name, facts) for name, facts in slow_path.items()]
    places = [
        {"place": place, "at": at, "packets": packets} for place, at, packets in _lost(document)
    ]
    return {"sums": sums, "lost": places}


def _queue_sum(document: Mapping[str, Any], queue: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    counts = document["xdp"].get(queue, {})
    passed = sum(n for name, n in counts.items() if kinds.get(name) == "pass")
    taken = sum(n for name, n in counts.items() if kinds.get(name) == "take")
    served = document["queues"].get(queue)
    if served is None:
        return _sum(f"queue {queue}", "xdp", received=taken + passed, passed=passed)
    losses = dict[str, int](served.get("lost", {}))
    replies_lost, waiting = losses.pop("tx_ring", 0), served["loop"].get("tx_pending", 0)
    before = sum(losses.values())
    # A predecessor's program counted what its worker left on the RX ring.
    taken = max(taken, served["rx"] + before)
    return _sum(
        f"queue {queue}",
        "ring",
        received=taken + passed,
        answered=served["tx"] - replies_lost - waiting,
        dropped=sum(served["dropped"].values()),
        passed=passed,
        lost=before + replies_lost,
    )


def _listener_sum(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    lost = facts.get("lost", 0)
    return _sum(
        f"slow path {name.upper()}",
        f"slow_path_{name}",
        received=facts["rx"] + lost,
        answered=facts["tx"],
        dropped=sum(facts["dropped"].values()),
        lost=lost,
    )


def _sum(what: str, path: str, received: int, **parts: int) -> dict[str, Any]:
    row = {"what": what, "path": path, "received": received} | dict.fromkeys(FIELDS[1:], 0) | parts
    row["in_transit"] = received - sum(parts.values())
    return row


def _lost(document: Mapping[str, Any]) -> Iterator[Loss]:
    """Every place, also one that has lost nothing."""
    yield "nic_ring", document["interface"], document.get("nic", {}).get("lost", 0)
    for queue, facts in document["queues"].items():
        for place, packets in facts.get("lost", {}).items():
            yield place, f"queue {queue}", packets
    for name, facts in document["slow_path"].items():
        for place, at, packets in facts.get("lost_at", ()):
            yield place, f"{name.upper()} {at}".strip(), packets


def queue_losses(statistics: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Frames that one AF_XDP socket's rings have lost, each once, by place.

    ``statistics`` is XDP_STATISTICS, ``before`` the same when this instance began. In copy mode the
    kernel counts a frame for which the fill ring had none both as rx_dropped and as
    rx_fill_ring_empty_descs; with zero-copy, the latter counts the driver's tries instead.
    """
    now = {key: count - before.get(key, 0) for key, count in statistics.items()}
    fill_ring = min(now["rx_dropped"], now["rx_fill_ring_empty_descs"])
    return {
        "fill_ring": fill_ring,
        "rx_ring": now["rx_ring_full"],
        "xsk": now["rx_dropped"] - fill_ring,
        "tx_ring": now["tx_invalid_descs"],
    }
