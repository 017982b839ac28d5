"""Nobody gets to see, by way of a zone that they can write, what they may not read."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from dns_bytes_call import HEAD

from xdpkit.errors import ZoneError
from xdpkit.services.dns.serving.store import Arena, compile_zones

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs files of several users")

ALICE, BOB = 54321, 54322


@pytest.fixture
def zones(tmp_path: Path) -> Path:
    """Root's directory with a zone of alice's that includes a part beside it."""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        directory.chmod(0o755)
    zones = tmp_path / "zones"
    zones.mkdir(mode=0o755)
    (zones / "z.zone").write_text(HEAD + "$INCLUDE part\n")
    (zones / "part").write_text("secret TXT text\n")
    os.chown(zones / "z.zone", ALICE, ALICE)
    return zones


def load(zones: Path) -> Arena:
    return anyio.run(compile_zones, zones)


@pytest.mark.parametrize(
    "owner, group, mode, good",
    [
        (0, 0, 0o600, False),
        (BOB, 0, 0o640, False),
        (0, 0, 0o644, True),
        # Alice's own; root has no special right to read it, but its group has.
        (ALICE, 0, 0o640, True),
    ],
)
def test_an_included_file(zones: Path, owner: int, group: int, mode: int, good: bool) -> None:
    part = zones / "part"
    part.chmod(mode)
    os.chown(part, owner, group)
    if good:
        assert load(zones).zones["z"].names == 2
        return
    with pytest.raises(ZoneError, match=f"part: user {ALICE}, who can write the zone, may not"):
        load(zones)


def test_a_zone_that_is_a_link(zones: Path, tmp_path: Path) -> None:
    """In alice's directory, to a file of root's; and nothing of the file gets into the message."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private" / "file").write_text("a secret line\n")
    (zones / "z.zone").unlink()
    (zones / "z.zone").symlink_to(tmp_path / "private" / "file")
    os.chown(zones, ALICE, ALICE)
    with pytest.raises(ZoneError, match=f"user {ALICE}.* chmod o\\+x .*/private") as caught:
        load(zones)
    assert "secret" not in str(caught.value)


def test_what_everybody_can_write(zones: Path) -> None:
    (zones / "z.zone").chmod(0o666)
    os.chown(zones / "z.zone", 0, 0)
    (zones / "part").chmod(0o600)
    with pytest.raises(ZoneError, match="everybody, who can write the zone, may not read it"):
        load(zones)


def test_roots_own_files_are_roots_business(zones: Path) -> None:
    os.chown(zones / "z.zone", 0, 0)
    (zones / "z.zone").chmod(0o600)
    (zones / "part").chmod(0o600)
    assert load(zones).zones["z"].names == 2


def test_who_is_included_has_no_say_in_what_comes_after(zones: Path) -> None:
    os.chown(zones / "z.zone", 0, 0)
    os.chown(zones / "part", BOB, BOB)
    (zones / "z.zone").write_text(HEAD + "$INCLUDE part\n$INCLUDE mine\n")
    (zones / "mine").write_text("mine A 192.0.2.1\n")
    (zones / "mine").chmod(0o600)
    assert load(zones).zones["z"].names == 3
    (zones / "part").write_text("$INCLUDE mine\n")
    with pytest.raises(ZoneError, match=f"user {BOB}, who can write the zone, may not read it"):
        load(zones)
