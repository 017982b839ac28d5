"""Nobody gets to see, by way of a zone that they can write, what they may not read."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import anyio
import pytest
from dns_bytes_call import HEAD

from xdpkit.errors import ZoneError
from xdpkit.regular_file import Content
from xdpkit.services.dns.serving.store import Load, compile_zones
from xdpkit.services.dns.zonefile import sources
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import Reading

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


def load(zones: Path) -> Load:
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
        assert load(zones).names == 2
        return
    with pytest.raises(ZoneError, match=f"user {ALICE}, who can write the zone, may not"):
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
    assert load(zones).names == 2


def test_who_is_included_has_no_say_in_what_comes_after(zones: Path) -> None:
    os.chown(zones / "z.zone", 0, 0)
    os.chown(zones / "part", BOB, BOB)
    (zones / "z.zone").write_text(HEAD + "$INCLUDE part\n$INCLUDE mine\n")
    (zones / "mine").write_text("mine A 192.0.2.1\n")
    (zones / "mine").chmod(0o600)
    assert load(zones).names == 3
    (zones / "part").write_text("$INCLUDE mine\n")
    with pytest.raises(ZoneError, match=f"user {BOB}, who can write the zone, may not read it"):
        load(zones)


def test_a_link_of_roots_into_a_directory_of_others(zones: Path, tmp_path: Path) -> None:
    """Alice replaces what the link leads to by another link: all on the way counts."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, ALICE, ALICE)
    secret = tmp_path / "secret"
    secret.write_text("a secret line\n")
    secret.chmod(0o600)
    (zones / "z.zone").unlink()
    (zones / "z.zone").symlink_to("../theirs/z.zone")
    (theirs / "z.zone").symlink_to(secret)
    os.chown(theirs / "z.zone", ALICE, ALICE, follow_symlinks=False)
    with pytest.raises(ZoneError, match=f"user {ALICE}, who can write the zone") as caught:
        load(zones)
    assert "secret line" not in str(caught.value)


def set_list(path: Path, *entries: tuple[int, int, int]) -> None:
    """Sets an access control list: tag, rights and ID of each entry."""
    packed = (struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(packed))
    except OSError as error:
        pytest.skip(f"no access control lists here: {error}")


def entries(named: tuple[int, int, int], group: int = 5) -> tuple[tuple[int, int, int], ...]:
    """A list with one named entry; the owner may do all, others may read."""
    none = 0xFFFFFFFF
    between = (4, group, none)
    users = (named, between) if named[0] == 2 else (between, named)
    return (1, 7, none), *users, (16, 7, none), (32, 5, none)


@pytest.mark.parametrize("count", [1, 59, 60, 400])
def test_a_long_access_control_list(zones: Path, count: int) -> None:
    """The one who may write the zone comes after all who may not."""
    os.chown(zones / "z.zone", 0, 0)
    owner, *rest = entries((2, 7, BOB))
    set_list(zones / "z.zone", owner, *((2, 4, 30000 + n) for n in range(count)), *rest)
    (zones / "part").chmod(0o600)
    with pytest.raises(ZoneError, match=f"user {BOB}, who can write the zone, may not read it"):
        load(zones)


@pytest.mark.parametrize("tag", [2, 8])
def test_who_is_named_by_an_access_control_list(zones: Path, tag: int) -> None:
    who = f"{'user' if tag == 2 else 'group'} {BOB}"
    os.chown(zones / "z.zone", 0, 0)
    set_list(zones, *entries((tag, 7, BOB)))
    (zones / "part").chmod(0o600)
    with pytest.raises(ZoneError, match=f"{who}, who can write the zone, may not read it"):
        load(zones)
    # What may be read because of a list is no secret.
    set_list(zones / "part", *entries((tag, 4, BOB), 0)[:-1], (32, 0, 0xFFFFFFFF))
    assert load(zones).names == 2
    # Who may only read has no say.
    set_list(zones, *entries((tag, 5, BOB)))
    os.removexattr(zones / "part", "system.posix_acl_access")
    (zones / "part").chmod(0o600)
    assert load(zones).names == 2


def test_rights_that_change_from_file_to_file(zones: Path, tmp_path: Path) -> None:
    """What is known of the directories is not believed for longer than they are as they were."""
    secret = tmp_path / "secret"
    secret.write_text("x TXT secret\n")
    secret.chmod(0o600)
    (zones / "z.zone").write_text(f"{HEAD}$INCLUDE {secret}\n")
    os.chown(zones / "z.zone", 0, 0)
    reading = Reading()
    read_zone(zones / "z.zone", reading=reading)
    for directory, mode in ((zones, 0o757), (zones.parent, 0o757)):
        before = directory.stat().st_mode
        directory.chmod(mode)
        with pytest.raises(ZoneError, match="everybody, who can write the zone, may not read it"):
            read_zone(zones / "z.zone", reading=reading)
        directory.chmod(before)
        read_zone(zones / "z.zone", reading=reading)


def test_a_link_that_is_changed_meanwhile(
    zones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is where the file was that was read, not where its name leads by then."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "file").write_text("a secret line\n")
    (zones / "z.zone").unlink()
    (zones / "z.zone").symlink_to(private / "file")
    os.chown(zones, ALICE, ALICE)
    read = sources.read_regular

    def read_and_change(path: Path, *arguments: Any, **options: Any) -> Content:
        content = read(path, *arguments, **options)
        (zones / "z.zone").unlink()
        (zones / "z.zone").symlink_to(zones / "part")
        return content

    monkeypatch.setattr(sources, "read_regular", read_and_change)
    with pytest.raises(ZoneError, match=f"user {ALICE}.* chmod o\\+x .*/private"):
        read_zone(zones / "z.zone")
