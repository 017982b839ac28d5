"""Reading a location database, for ``bench --geo``: seconds and memory, first and from the cache.

    python -m xdpkit.bench.geo_load KIND DATABASE CACHE

in a process of its own, whose memory is then the database's alone. It prints JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from xdpkit.bench.zones_site import Say
from xdpkit.errors import XdpkitError
from xdpkit.loadgen.figures import spread
from xdpkit.runtime import child
from xdpkit.services.dns.geo.locations import read_locations

# The longest that reading one may take.
LOAD_SECONDS = 600.0

Facts = dict[str, Any]


def measure(database: Path, kind: str, scratch: Path, rounds: int, say: Say) -> Facts:
    """Medians with the extremes of the rounds: each reads it, keeps it, and takes what is kept.

    Raises XdpkitError with the last line of a reader's output.
    """
    taken: dict[str, list[Facts]] = {"first": [], "cached": []}
    for number in range(rounds):
        cache = scratch / f"locations-{number}"
        cache.mkdir()
        for what, found in taken.items():
            say(f"database, round {number + 1} of {rounds}: {what}")
            found.append(_in_child(kind, database, cache))
    facts: Facts = {"file_bytes": database.stat().st_size}
    for what, found in taken.items():
        for key in ("seconds", "peak_bytes", "before_bytes"):
            facts |= spread(f"{what}_{key}", [each[key] for each in found])
    return facts


def _in_child(kind: str, database: Path, cache: Path) -> Facts:
    command = child.python("xdpkit.bench.geo_load", kind, str(database), str(cache))
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=LOAD_SECONDS,
        **child.options(),
    )
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["no output"]
        raise XdpkitError(f"{database}: was not read: {words[-1]}")
    found: Facts = json.loads(done.stdout)
    return found


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
