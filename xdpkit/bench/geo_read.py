"""Reads a location database for ``geo_load.py``, which measures the process that does.

    python -m xdpkit.bench.geo_read KIND DATABASE CACHE

It prints JSON. Imports are few: their memory counts, too.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from xdpkit.services.dns.geo.locations import read_locations


def main(kind: str, database: str, cache: str) -> None:
    """Reads it, or what is kept of it, and keeps it."""
    before, begin = _peak_bytes(), time.monotonic()
    locations = read_locations({kind: Path(database)}, Path(cache))
    seconds = time.monotonic() - begin
    facts = {"seconds": seconds, "peak_bytes": _peak_bytes(), "before_bytes": before}
    assert kind in locations.tables
    print(json.dumps(facts))


def _peak_bytes() -> int:
    """The most that this process has had resident (proc_pid_status(5))."""
    text = Path("/proc/self/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
