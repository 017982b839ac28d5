"""Changes to a NIC are undone, on exit and after an error at any step."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from fake_driver import NIC, NTUPLE, FakeDriver
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nic_lab import (
    NICS,
    SERVED,
    WISH,
    Tripping,
    check_done,
    count_of_changes,
    fail,
    in_memory,
    new_journal,
    planned,
    rule,
)

from xdpkit.errors import JournalError, NicError, SettingError
from xdpkit.nic.os import ethtool
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.setup.apply import apply_steps, restore, undo
from xdpkit.nic.setup.journal import Owner
from xdpkit.nic.setup.plan import Wish


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with in_memory() as directory:
        yield directory


@pytest.mark.parametrize("nic", NICS)
def test_done_and_undone(nic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver(tmp_path, NICS[nic]())
    driver.install(monkeypatch)
    device, before = driver.device(), driver.state()
    journal = new_journal(device, tmp_path / "run")
    entries = apply_steps(device, journal, planned(device).steps)
    check_done(driver, WISH)
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert journal.path.stat().st_mode & 0o777 == 0o600
    # Again: everything is set already.
    assert apply_steps(device, journal, planned(device).steps) == []
    outcomes = undo(device, journal, list(entries))
    assert {outcome.result for outcome in outcomes} == {"undone"}
    assert driver.state() == before
    journal.close()
    assert not journal.path.exists()


@pytest.mark.parametrize("nic", NICS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_error_at_any_step_leaves_all_as_it_was(
    nic: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the driver did it before it failed."""
    for at in range(1, count_of_changes(tmp_path, NICS[nic](), monkeypatch) + 1):
        driver = FakeDriver(tmp_path / str(at), NICS[nic]())
        driver.install(monkeypatch)
        before = driver.state()
        device = Tripping(driver, at, after, fail)
        journal = new_journal(device, tmp_path / "run")
        with pytest.raises(SettingError, match=r"eth1: the driver's mood \(Input/output error"):
            apply_steps(device, journal, planned(device).steps)
        assert driver.state() == before, at
        journal.close()
        assert not journal.path.exists()


@pytest.mark.parametrize("nic", NICS)
def test_a_driver_that_silently_does_nothing(
    nic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = 0
    for at in range(1, count_of_changes(tmp_path, NICS[nic](), monkeypatch) + 1):
        driver = FakeDriver(tmp_path / str(at), NICS[nic]())
        driver.install(monkeypatch)
        device, before = driver.device(), driver.state()
        journal = new_journal(device, tmp_path / "run")
        driver.deaf_at = at
        try:
            apply_steps(device, journal, planned(device).steps)
        except SettingError as error:
            assert "but did something else" in str(error) or error.errno
            refused += 1
        driver.deaf_at = 0
        undo(device, journal, list(journal.pending))
        assert driver.state() == before, at
        journal.close()
    assert refused > 5


def test_no_journal_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver(tmp_path)
    driver.install(monkeypatch)
    device, before = driver.device(), driver.state()
    (tmp_path / "run").write_text("a file instead of the directory")
    journal = new_journal(device, tmp_path / "run")
    with pytest.raises(JournalError, match="nothing was changed, as the journal"):
        apply_steps(device, journal, planned(device).steps)
    assert driver.state() == before


def test_a_driver_that_sets_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it set can only be our doing, and is undone."""
    driver = FakeDriver(tmp_path)
    driver.install(monkeypatch)
    device, before = driver.device(), driver.state()
    real = driver.ioctl

    def rounding(number: int, ifname: str, structure: bytes) -> bytes:
        if structure[0] == 0x3D and structure[32] == 6:
            structure = structure[:32] + b"\x08\0\0\0"
        return real(number, ifname, structure)

    monkeypatch.setattr(ethtool, "interface_ioctl", rounding)
    journal = new_journal(device, tmp_path / "run")
    with pytest.raises(SettingError, match=r"combined 6' but did something else"):
        apply_steps(device, journal, planned(device).steps)
    assert driver.state() == before and not journal.pending


@pytest.mark.parametrize("room", [0, 10, 300, 420, 500, 900])
def test_no_room_for_the_journal(
    room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is written whole or not at all, and without it nothing is changed."""
    driver = FakeDriver(tmp_path)
    driver.install(monkeypatch)
    device, before = driver.device(), driver.state()
    journal = new_journal(device, tmp_path / "run")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(JournalError, match="nothing was changed, as the journal"):
            apply_steps(device, journal, planned(device).steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert driver.state() == before
    entries = apply_steps(device, journal, planned(device).steps)
    assert len(entries) > 10
    monkeypatch.setattr(Owner, "alive", False)
    # Changes may be in it twice, as there was no room to record their undoing: that is harmless.
    outcomes, _ = restore(device, journal.path)
    assert {outcome.result for outcome in outcomes} == {"undone"}
    assert driver.state() == before and not journal.path.exists()


@pytest.mark.parametrize("chooses", [False, True])
def test_a_table_of_rules_that_is_full(
    chooses: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeDriver(tmp_path, NIC | {"rule_slots": 3, "chooses": chooses})
    driver.install(monkeypatch)
    device, before = driver.device(), driver.state()
    with pytest.raises(SettingError, match=r"no room for a rule.*No space left.*all 3 locations"):
        apply_steps(device, new_journal(device, tmp_path / "run"), planned(device).steps)
    assert driver.state() == before


names = st.sampled_from([*NIC["features"]])


@st.composite
def nics(draw: st.DrawFn) -> dict[str, Any]:
    """Any state in which a driver may be found."""
    combined = draw(st.integers(1, 8))
    slots = draw(st.sampled_from([8, 16, 128]))
    queue = st.integers(0, combined - 1)
    own = draw(st.one_of(st.none(), st.lists(queue, min_size=slots, max_size=slots)))
    table = own or [slot % combined for slot in range(slots)]
    features = {name: [draw(st.booleans()), draw(st.booleans())] for name in NIC["features"]}
    matches = st.builds(
        FlowMatch,
        st.sampled_from([*(served.address for served in SERVED), IPv4Address("192.0.2.9")]),
        st.sampled_from([53, 123, 7]),
    )
    rule_slots = draw(st.integers(2, 16))
    there = (
        draw(st.dictionaries(matches, queue, max_size=rule_slots)) if features[NTUPLE][0] else {}
    )
    locations = draw(st.permutations(range(rule_slots)))
    rules = {
        str(location): rule(*item) for location, item in zip(locations, there.items(), strict=False)
    }
    return NIC | {
        "channels": {"rx": 0, "tx": 0, "other": 1, "combined": combined},
        "table": draw(st.sampled_from([table, table, None])),
        "configured": own is not None,
        "features": features,
        "rules": rules,
        "rule_slots": rule_slots,
        "chooses": draw(st.booleans()),
    }


wishes = st.builds(
    Wish,
    st.lists(st.integers(0, 8), min_size=1, max_size=4, unique=True).map(tuple),
    st.sampled_from(["auto", "ntuple", "rss", "none"]),
    st.sampled_from([SERVED, SERVED[:1], ()]),
    st.sampled_from([(53,), (53, 123)]),
    st.booleans(),
    st.sampled_from([(), (1,), (2, 3)]),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(nics(), wishes, st.integers(0, 12))
def test_any_nic_is_left_as_it_was_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nic: dict[str, Any],
    wish: Wish,
    at: int,
) -> None:
    tmp_path = Path(tempfile.mkdtemp(dir=tmp_path))
    driver = FakeDriver(tmp_path, nic)
    driver.install(monkeypatch)
    before = driver.state()
    device = Tripping(driver, at, False, fail)
    journal = new_journal(device, tmp_path / "run")
    try:
        made = planned(device, wish)
        apply_steps(device, journal, made.steps)
        if made.steering == "ntuple":
            check_done(driver, wish)
        device.at = 0
        again = planned(device, wish)
        assert apply_steps(device, journal, again.steps) == []
    except NicError:
        # Unless the undoing tripped.
        assert driver.state() == before or journal.pending
    device.at = 0
    undo(device, journal, list(journal.pending))
    assert driver.state() == before
