"""The sums and places of ``status --where``, as tests compare them."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from metrics_samples import Samples
from serving import PATIENCE, Server, eventually
from wire import CHATTER, Wire

from xdpkit.lab.namespaces import Lab

PARTS = ("answered", "dropped", "passed", "lost", "in_transit")


def scraped(lab: Lab) -> Samples:
    """The metrics of now."""
    with (
        lab.server.entered(),
        urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE) as reply,
    ):
        return Samples(reply.read().decode(), reply.headers["Content-Type"])


def account(document: Mapping[str, Any]) -> dict[str, Counter[str]]:
    """Each sum by what it is of, without what the kernels say to each other at any moment.

    Checks that it adds up.
    """
    rows = {}
    for row in document["where"]["sums"]:
        assert row["received"] == sum(row[part] for part in PARTS), row
        counts = Counter({part: row[part] for part in ("received", *PARTS)})
        seen = document["xdp"].get(row["what"].removeprefix("queue "), {})
        chatter = sum(n for verdict, n in seen.items() if verdict in CHATTER)
        counts.subtract(received=chatter, passed=chatter)
        rows[row["what"]] = counts
    return rows


def lost(document: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Packets by place and where it is, as far as there are any."""
    rows = document["where"]["lost"]
    return {(row["place"], row["at"]): row["packets"] for row in rows if row["packets"]}


def lost_by_metrics(samples: Samples) -> dict[tuple[str, str, str], float]:
    """The same of the metrics, by path, queue and place."""
    found = {}
    for labels, count in samples.named("lost_total").items():
        named = dict(labels)
        if count:
            found[named["path"], named["queue"], named["place"]] = count
    return found


def verdicts_by_metrics(samples: Samples, path: str, kind: str, queue: str = "") -> float:
    """How many packets of a path had a verdict of this kind."""
    wanted = {"path": path, "kind": kind, "queue": queue}
    counted = samples.named("verdicts_total").items()
    return sum(count for labels, count in counted if wanted.items() <= dict(labels).items())


def settled(server: Server, what: str, received: int) -> bool:
    """Whether a sum has so many packets, and none in transit."""
    row = account(server.status())[what]
    return row["received"] == received and row["in_transit"] == 0


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """No thread of the process runs."""
    server.signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{server.process.pid}/task")
    try:
        # Each stops in its own time.
        eventually(
            lambda: all(state_of(task) == "T" for task in tasks.iterdir()), "all threads to stop"
        )
        yield
    finally:
        server.signal(signal.SIGCONT)


def state_of(task: Path) -> str:
    """The state of a thread: proc_pid_stat(5), after its name in parentheses."""
    return (task / "stat").read_text().rpartition(") ")[2][0]


def send_all(wire: Wire, frames: list[bytes]) -> None:
    """In small bursts, so that the veth's own queue of 256 never overflows."""
    for at in range(0, len(frames), 32):
        for frame in frames[at : at + 32]:
            wire.send(frame)
        time.sleep(0.002)
