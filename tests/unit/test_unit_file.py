"""The systemd unit: read as systemd reads it, and its rights are those that xdpkit asks for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from xdpkit.privileges import NEEDED

UNIT = Path(__file__).parents[2] / "vagrant" / "debian" / "xdpkit.service"


def settings() -> dict[str, list[str]]:
    """Words by setting of the service."""
    lines = [line for line in UNIT.read_text().splitlines() if line and line[0] not in "#["]
    return {name: value.split() for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("of", ["CapabilityBoundingSet", "AmbientCapabilities"])
def test_the_rights_are_those_that_are_needed(of: str) -> None:
    assert sorted(settings()[of]) == sorted(map(str, NEEDED))


def test_systemd_takes_it(tool: Callable[[str], str], tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    # Verified to exist; the package installs the other.
    unit.write_text(UNIT.read_text().replace("/usr/bin/xdpkit", sys.executable))
    command = [tool("systemd-analyze"), "verify", "--man=no", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
