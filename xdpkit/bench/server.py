"""``xdpkit run`` with a zone arena from the benchmarks' cache instead of master files.

    python -m xdpkit.bench.server ARENA CONFIG

Everything else is the regular daemon. Compiling a million names at every start would take a minute.
"""

from __future__ import annotations

import sys
from pathlib import Path

import anyio

from xdpkit import config
from xdpkit._core._zones import ZoneArena
from xdpkit.config import DnsConfig
from xdpkit.instance.server import Server
from xdpkit.runtime.logs import log_to_stderr
from xdpkit.services.dns.serving import service
from xdpkit.services.dns.serving.store import Load
from xdpkit.services.dns.serving.zone_store import ZoneStore
from xdpkit.services.dns.serving.zone_table import ZoneState, ZoneTable

ARENA = Path(sys.argv[1] if len(sys.argv) > 1 else "")


class ArenaStore(ZoneStore):
    """Has the arena in a file, whatever the configuration says."""

    async def _load(self, config: DnsConfig, first: bool) -> Load:
        arena, path = ZoneArena(ARENA.read_bytes()), str(ARENA.absolute())
        load = Load(ZoneTable(config.zones.absolute()))
        load.table.put_cached(arena.name, path, ZoneState(arena.name, (path,), arena, cached=True))
        return load


if __name__ == "__main__":
    log_to_stderr()
    vars(service)["ZoneStore"] = ArenaStore
    sys.exit(anyio.run(Server(config.load(sys.argv[2])).run))
