"""``xdpkit run`` with a zone arena from the benchmarks' cache in place of master files.

    python -m xdpkit.bench.server ARENA CONFIG

Everything else is the daemon's own. Compiling a million names at every start would take a minute.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import anyio

from xdpkit import config, daemon
from xdpkit.bench.zones import open_arena
from xdpkit.cext._snapshot import ZoneMap
from xdpkit.dns.zone_store import ZoneStore
from xdpkit.publication import Publication


class ArenaStore(ZoneStore):
    """Publishes the arena of a file."""

    def __init__(self, path: Path, publication: Publication) -> None:
        super().__init__(path, publication)
        self._path, self._to = path, publication

    async def load(self) -> None:
        """Maps and publishes the arena."""
        with open_arena(self._path) as arena:
            self._to.change(zones=ZoneMap(arena.fd, arena.size))
            self.infos = arena.zones


class ArenaServer(daemon.Server):
    """The daemon's server with its zones from an arena."""

    def __init__(self, loaded: config.Config, arena: Path) -> None:
        super().__init__(loaded)
        self.zones = ArenaStore(arena, self.publication)


if __name__ == "__main__":
    logging.basicConfig(format="xdpkit: %(message)s", level=logging.INFO, stream=sys.stderr)
    sys.exit(anyio.run(ArenaServer(config.load(sys.argv[2]), Path(sys.argv[1])).run))
