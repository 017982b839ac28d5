"""Interrupts of the chosen queues are moved, and moved back."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_driver import NIC, FakeDriver
from nic_lab import new_journal

from xdpkit.errors import SettingError
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.apply import apply_step, undo
from xdpkit.nic.setup.plan import Step

HERE = Step(setting.interrupt(5), {"cpus": "1", "irq": None}, "as configured")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver = FakeDriver(tmp_path / "sys", NIC)
    driver.install(monkeypatch)
    return driver


def cpus(driver: FakeDriver, number: int) -> Path:
    return driver.proc / "irq" / str(number) / "smp_affinity_list"


def test_there_and_back(driver: FakeDriver, tmp_path: Path) -> None:
    device, before = driver.device(), driver.state()
    journal = new_journal(device, tmp_path / "run")
    assert apply_step(device, journal, HERE) and not apply_step(device, journal, HERE)
    assert cpus(driver, 45).read_text() == "1\n"
    [outcome] = undo(device, journal, list(journal.pending))
    assert str(outcome) == "echo 2 > /proc/irq/45/smp_affinity_list"
    assert driver.state() == before


def test_a_queue_whose_interrupt_has_another_number_by_now(
    driver: FakeDriver, tmp_path: Path
) -> None:
    """As after a change to the channels."""
    device = driver.device()
    journal = new_journal(device, tmp_path / "run")
    apply_step(device, journal, HERE)
    table = driver.proc / "interrupts"
    table.write_text(table.read_text().replace("TxRx-5", "away").replace("TxRx-4", "TxRx-5"))
    cpus(driver, 44).write_text("1\n")
    [outcome] = undo(device, journal, list(journal.pending))
    assert outcome.result == "undone" and cpus(driver, 44).read_text() == "2\n"


def test_what_somebody_has_moved_since_stays_there(driver: FakeDriver, tmp_path: Path) -> None:
    device = driver.device()
    journal = new_journal(device, tmp_path / "run")
    apply_step(device, journal, HERE)
    cpus(driver, 45).write_text("0-3\n")
    [outcome] = undo(device, journal, list(journal.pending))
    assert outcome.result == "left"
    assert "somebody has since run 'echo 0-3 > /proc/irq/45/smp_affinity_list'" in str(outcome)
    assert cpus(driver, 45).read_text() == "0-3\n"


def test_a_queue_without_an_interrupt(driver: FakeDriver, tmp_path: Path) -> None:
    device = driver.device()
    journal = new_journal(device, tmp_path / "run")
    step = Step(setting.interrupt(6), {"cpus": "1", "irq": None}, "as configured")
    with pytest.raises(SettingError, match=r"no interrupt found for queue 6 .*remove .*irq_cpus"):
        apply_step(device, journal, step)
    assert not journal.pending
    # One that goes away later needs no undoing, and blocks nothing.
    apply_step(device, journal, HERE)
    (driver.proc / "interrupts").write_text("CPU0\n")
    [outcome] = undo(device, journal, list(journal.pending))
    assert outcome.result == "left" and "the queue's interrupt is gone" in str(outcome)
    assert not journal.pending
