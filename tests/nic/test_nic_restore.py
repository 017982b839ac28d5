"""What a killed run left on a NIC is undone, and nothing else is."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_driver import IFINDEX, IFNAME, NIC, FakeDriver
from nic_lab import (
    NICS,
    Tripping,
    changed,
    count_of_changes,
    die,
    fail,
    in_a_child,
    in_memory,
    kept_driver,
    new_journal,
    planned,
)

from xdpkit.errors import JournalError
from xdpkit.nic.setup import journal as journals
from xdpkit.nic.setup.apply import Outcome, apply_steps, restore
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Owner


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with in_memory() as directory:
        yield directory


@pytest.mark.parametrize("nic", NICS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_step_can_be_restored(
    nic: str, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between journal and change, or between change and journal; and a kill while restoring."""
    for at in range(1, count_of_changes(tmp_path, NICS[nic](), monkeypatch) + 1):
        scratch = tmp_path / f"{at}"
        driver = kept_driver(scratch, NICS[nic](), monkeypatch)
        before = driver.state()

        def change(driver: FakeDriver = driver, at: int = at, scratch: Path = scratch) -> None:
            device = Tripping(driver, at, after, die)
            apply_steps(device, new_journal(device, scratch / "run"), planned(device).steps)

        assert in_a_child(change) == signal.SIGKILL
        path = journals.path_of(IFINDEX, scratch / "run")
        if not after:
            cut_last_line(path, at)
        for again in range(min(at - 1, 2)):
            driver = kept_driver(scratch, NICS[nic](), monkeypatch)
            device = Tripping(driver, 1 + again % 2, again % 3 == 0, die)
            in_a_child(lambda device=device, path=path: restore(device, path))  # type: ignore[misc]
        driver = kept_driver(scratch, NICS[nic](), monkeypatch)
        outcomes, note = restore(driver.device(), path)
        assert {outcome.result for outcome in outcomes} <= {"undone"} and note == ""
        assert driver.state() == before, at
        assert not path.exists()


def cut_last_line(path: Path, at: int) -> None:
    """Killed even earlier: the line was only partly written."""
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    path.write_bytes(whole[: start + at % (len(whole) - start)])


def test_what_somebody_changed_since_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, device, path = changed(tmp_path, monkeypatch)
    driver.nic["table"] = [0, 1] * 8
    (driver.sysfs / IFNAME / "gro_flush_timeout").write_text("7\n")
    outcomes, _ = restore(device, path)
    left = {outcome.setting: outcome for outcome in outcomes if outcome.result == "left"}
    assert left.keys() == {"rss", "gro_flush_timeout"}
    assert "somebody has since run 'echo 7 > /sys" in str(left["gro_flush_timeout"])
    assert driver.nic["channels"] == NIC["channels"]
    assert driver.nic["features"] == NIC["features"] and driver.nic["rules"] == {}
    assert not path.exists()


def test_what_cannot_be_undone_stays_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, device, path = changed(tmp_path, monkeypatch)
    outcomes, _ = restore(Tripping(driver, 5, False, fail), path)
    [failed] = [outcome for outcome in outcomes if outcome.result == "failed"]
    assert "undo it with 'ethtool -K eth1 rx-vlan-hw-parse on'" in str(failed)
    assert driver.nic["features"] != NIC["features"]
    assert restore(device, path) == (
        [Outcome("feature rx-vlan-hw-parse", "ethtool -K eth1 rx-vlan-hw-parse on", "undone")],
        "",
    )
    assert driver.nic["features"] == NIC["features"]


def test_a_live_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver(tmp_path)
    driver.install(monkeypatch)
    device = driver.device()
    journal = new_journal(device, tmp_path / "run")
    apply_steps(device, journal, planned(device).steps)
    state = driver.state()
    with pytest.raises(JournalError, match=f"xdpkit is running, pid {os.getpid()}: stop it first"):
        restore(device, journal.path)
    # Another process that got its PID.
    assert not Owner(IFNAME, 7, "", journals.boot_id(), os.getpid(), 1).alive
    assert driver.state() == state and journal.path.exists()


def test_before_the_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, device, path = changed(tmp_path, monkeypatch)
    state = driver.state()
    monkeypatch.setattr(journals, "boot_id", lambda: "another")
    outcomes, note = restore(device, path)
    assert outcomes == [] and "before the last reboot" in note
    assert driver.state() == state and not path.exists()


def test_another_interface_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, device, path = changed(tmp_path, monkeypatch)
    state = driver.state()
    for identity in ({"ifindex": 8, "address": "02:00:00:00:00:01"}, {}):
        monkeypatch.setattr(device, "identity", lambda identity=identity: identity)
        with pytest.raises(
            JournalError, match=f"is not the interface that was changed.*remove {path}"
        ):
            restore(device, path)
    assert driver.state() == state and path.exists()


@pytest.mark.parametrize("text", ["{}\n", "no JSON\n", '{"version": 2}\n', "[]\n", '{"a": 1}\n\n'])
def test_no_journal(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver(tmp_path)
    path = tmp_path / "eth1.journal"
    path.write_text(text)
    with pytest.raises(JournalError, match="not a line of a journal of this version"):
        restore(driver.device(), path)


def test_nothing_begun(tmp_path: Path) -> None:
    path = tmp_path / "eth1.journal"
    assert restore(Device(IFNAME), path) == ([], "")
    path.write_text('{"version": 1, "interf')
    assert restore(Device(IFNAME), path) == ([], "")
    assert not path.exists()
