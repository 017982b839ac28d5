"""The systemd unit's rights are those that xdpkit asks for; tests/package has systemd verify it."""

from __future__ import annotations

import pytest
from checkout import CHECKOUT

from xdpkit.runtime.privileges import NEEDED

UNIT = CHECKOUT / "packaging" / "debian" / "xdpkit.service"


def settings() -> dict[str, list[str]]:
    """Words by setting of the service."""
    lines = [line for line in UNIT.read_text().splitlines() if line and line[0] not in "#["]
    return {name: value.split() for name, _, value in (line.partition("=") for line in lines)}


@pytest.mark.parametrize("of", ["CapabilityBoundingSet", "AmbientCapabilities"])
def test_the_rights_are_those_that_are_needed(of: str) -> None:
    assert sorted(settings()[of]) == sorted(map(str, NEEDED))
