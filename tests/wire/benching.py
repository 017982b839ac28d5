"""``xdpkit bench --json -o DIRECTORY`` as typed on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving import XDPKIT, run_here


def bench(directory: Path, *options: str, timeout: float = 110) -> dict[str, Any]:
    """The output of a successful run, which must equal its file."""
    # Servers start one after the other. Below a test's time limit (pyproject.toml).
    done = run_here(XDPKIT, "bench", *options, "--json", "-o", str(directory), timeout=timeout)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert json.loads((directory / "bench.json").read_text()) == found
    assert (found["failed"], found["mode"], found["driver"]) == ([], "native, copy", "veth")
    return found
