"""``xdpkit run`` with a zone arena from the benchmarks' cache instead of master files.

    python -m xdpkit.bench.server ARENA CONFIG

Everything else is the regular daemon. Compiling a million names at every start would take a minute.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import anyio

from xdpkit import config
from xdpkit.instance import server as daemon
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.dns.compiler.arena_file import read_arena
from xdpkit.services.dns.serving.store import Arena
from xdpkit.services.dns.serving.zone_store import ZoneStore


class ArenaStore(ZoneStore):
    """Publishes the arena in a file."""

    def __init__(self, path: Path, publisher: SnapshotPublisher) -> None:
        super().__init__(path, publisher)
        self._path = path

    async def load(self) -> bool:
        """Reads and publishes the arena."""
        with self._path.open("rb") as file:
            arena = read_arena(file.fileno(), self._path.stat().st_size, ())
        self.publish(Arena(arena, "cache", 0.0))
        return True


class ArenaServer(daemon.Server):
    """The daemon's server, with its zones from an arena."""

    def __init__(self, loaded: config.Config, arena: Path) -> None:
        super().__init__(loaded)
        self.zones = ArenaStore(arena, self.publisher)


if __name__ == "__main__":
    logging.basicConfig(format="xdpkit: %(message)s", level=logging.INFO, stream=sys.stderr)
    sys.exit(anyio.run(ArenaServer(config.load(sys.argv[2]), Path(sys.argv[1])).run))
