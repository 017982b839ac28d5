"""``xdpkit run`` with a zone arena from the benchmarks' cache instead of master files.

    python -m xdpkit.bench.server ARENA CONFIG

Everything else is the regular daemon. Compiling a million names at every start would take a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from xdpkit import config
from xdpkit.config import DnsConfig
from xdpkit.instance.server import Server
from xdpkit.runtime.logs import log_to_stderr
from xdpkit.services.dns.compiler.arena_file import read_arenas
from xdpkit.services.dns.serving import service
from xdpkit.services.dns.serving.store import Arena
from xdpkit.services.dns.serving.zone_store import ZoneStore

ARENA = Path(sys.argv[1] if len(sys.argv) > 1 else "")


class ArenaStore(ZoneStore):
    """Reads the arena in a file, whatever the configuration says."""

    async def _load(self, config: DnsConfig) -> Arena:
        with ARENA.open("rb") as file:
            arena = read_arenas(file.fileno(), [(0, ARENA.stat().st_size)], ())
        return Arena(arena, "cache", 0.0)


if __name__ == "__main__":
    log_to_stderr()
    vars(service)["ZoneStore"] = ArenaStore
    sys.exit(anyio.run(Server(config.load(sys.argv[2])).run))
