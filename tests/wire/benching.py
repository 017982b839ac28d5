"""``xdpkit bench --json -o DIRECTORY`` as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving import XDPKIT, run_here


def bench(directory: Path, *options: str) -> dict[str, Any]:
    """What a run without a failure told: the same on its output and in its file."""
    # Servers are started one after the other. Below the time that a test has (pyproject.toml).
    done = run_here(XDPKIT, "bench", *options, "--json", "-o", str(directory), timeout=110)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert json.loads((directory / "bench.json").read_text()) == found
    assert (found["failed"], found["mode"], found["driver"]) == ([], "native, copy", "veth")
    return found
