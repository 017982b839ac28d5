"""The systemd unit grants the capabilities that xdpkit needs; test_package.py verifies the unit."""

from __future__ import annotations

import pytest
from checkout import CHECKOUT

from xdpkit.runtime.privileges import NEEDED

UNIT = CHECKOUT / "packaging" / "debian" / "xdpkit.service"


def settings() -> dict[str, list[str]]:
    """The words of each setting of the service."""
    lines = [line for line in UNIT.read_text().splitlines() if line and line[0] not in "#["]
    return {name: value.split() for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("setting", ["CapabilityBoundingSet", "AmbientCapabilities"])
def test_capabilities_are_those_needed(setting: str) -> None:
    assert sorted(settings()[setting]) == sorted(map(str, NEEDED))
