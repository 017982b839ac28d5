"""Reading a location database, for ``bench --geo``: seconds and memory, and from the cache."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from xdpkit.bench.zones_site import Say
from xdpkit.errors import XdpkitError
from xdpkit.loadgen.figures import spread
from xdpkit.runtime import child

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
    command = child.python("xdpkit.bench.geo_read", kind, str(database), str(cache))
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
