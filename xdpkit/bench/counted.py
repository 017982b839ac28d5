"""Answers frames off the wire under valgrind for ``offwire.py``, which counts instructions.

    python -m xdpkit.bench.counted FRAMES ARENA ANSWERS RATE

FRAMES is a marshaled list, RATE that of response rate limiting, or 0. Imports are few: everything
here runs under valgrind.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xdpkit._core._offwire import OffWire
from xdpkit._core._rrl import RrlRule
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.services.dns.compiler.arena import HEADER, next_start
from xdpkit.services.ntp.local import local_state

# The frames are addressed to these.
PORTS = {"ntp": 123, "dns": 53, "echo": 7}


def snapshot_of(arenas: Path, rate: int = 0, **parts: Any) -> Snapshot:
    """Serves the arenas in a file, with cookies, and with RRL at this rate; 0: no RRL.

    ``parts`` are more of the snapshot.
    """
    zones = ZoneDirectory([(zone.name, zone) for zone in _arenas(arenas.read_bytes())])
    dns = {"cookie_secrets": (bytes(range(16)),), "rrl": RrlRule(rate=rate)}
    return Snapshot(PORTS, zones=zones, ntp=local_state(10), dns=dns, **parts)


def _arenas(data: bytes) -> Iterator[ZoneArena]:
    """One after another, each with its size in its header."""
    at = 0
    while at < len(data):
        _, _, _, size, *_ = HEADER.unpack_from(data, at)
        yield ZoneArena(memoryview(data)[at : at + size])
        at = next_start(at + size)


def main(frames: str, arena: str, answers: str, rate: str) -> None:
    """Answers in batches of 64."""
    snapshot = snapshot_of(Path(arena), int(rate))
    state = ThreadState(answers=1 << 16)
    OffWire(snapshot, marshal.loads(Path(frames).read_bytes()), state).run(int(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
