"""Answers by location off the wire under valgrind for ``geo_offwire.py``; and what it serves.

    python -m xdpkit.bench.geo_counted FRAMES DIRECTORY ANSWERS

FRAMES is a marshaled list, DIRECTORY has what ``write`` wrote. Imports are few: everything here
runs under valgrind.
"""

from __future__ import annotations

import marshal
import sys
from pathlib import Path

from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._offwire import OffWire
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._zones import ZoneArena, ZoneDirectory, ZoneServing
from xdpkit.bench.counted import PORTS
from xdpkit.services.dns.geo.health import Status

# Draws are the same in each run.
SEED = 1
_FILES = ("geo.arena", "plain.arena", "view")


def write(directory: Path, geo: bytes, plain: bytes, view: bytes) -> None:
    """Keeps the arenas of a JSON zone and of a plain one, and the view of the first."""
    for name, data in zip(_FILES, (geo, plain, view), strict=True):
        (directory / name).write_bytes(data)


def snapshot_of(directory: Path) -> Snapshot:
    """Serves both zones as ``xdpkit run`` does, with locations and client subnets."""
    geo, plain, view = ((directory / name).read_bytes() for name in _FILES)
    arenas = [ZoneArena(geo), ZoneArena(plain)]
    healthy = bytes([Status.HEALTHY]) * len(status_names(arenas[0]))
    serving: dict[bytes, ZoneServing] = {
        arenas[0].name: GeoServing(Selection(arenas[0], healthy), GeoView(view))
    }
    zones = ZoneDirectory([(arena.name, arena) for arena in arenas], serving)
    return Snapshot(PORTS, zones=zones, dns={"ecs": 1, "cookie_secrets": (bytes(range(16)),)})


def state() -> ThreadState:
    """As a worker's, but with the same draws each time."""
    made = ThreadState(answers=1 << 16)
    made.seed_draws(SEED)
    return made


def main(frames: str, directory: str, answers: str) -> None:
    """Answers in batches of 64."""
    payloads = marshal.loads(Path(frames).read_bytes())
    OffWire(snapshot_of(Path(directory)), payloads, state()).run(int(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
