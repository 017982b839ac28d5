"""Answers frames off the wire under valgrind, for ``offwire.py``, which counts the instructions.

    python -m xdpkit.bench.counted FRAMES ARENA ANSWERS RATE

FRAMES is a marshalled list, RATE that of the response rate limits or 0. Little is imported: all of
it runs under valgrind.
"""

from __future__ import annotations

import marshal
import sys
from pathlib import Path
from typing import Any

from xdpkit.cext._memory import Memory
from xdpkit.cext._offwire import OffWire
from xdpkit.cext._rrl import RrlRule
from xdpkit.cext._snapshot import Snapshot, ZoneMap
from xdpkit.ntp.local import local_state


def dns_settings(rate: int) -> dict[str, Any]:
    """Cookies, and response rate limits of this rate; 0: none."""
    return {"cookie_secrets": (bytes(range(16)),), "rrl": RrlRule(rate=rate)}


def main(frames: str, arena: str, answers: str, rate: str) -> None:
    """Runs batches of 64."""
    path = Path(arena)
    with path.open("rb") as file:
        zones = ZoneMap(file.fileno(), path.stat().st_size)
    ports = {"ntp": 123, "dns": 53, "echo": 7}
    snapshot = Snapshot(ports, zones=zones, ntp=local_state(10), dns=dns_settings(int(rate)))
    memory = Memory(answers=1 << 16)
    OffWire(snapshot, marshal.loads(Path(frames).read_bytes()), memory).run(int(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
