"""Turning a NIC's hardware timestamps on and off, on a simulated device."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_driver import NIC, FakeDriver, fail
from nic_lab import FakePhc, in_memory, new_journal

from xdpkit.errors import StampError
from xdpkit.nic.os import ethtool, hwtstamp
from xdpkit.nic.os.hwtstamp import FILTER_ALL, FILTER_NONE, FILTER_NTP_ALL, Setting
from xdpkit.nic.setup import hardware_stamps
from xdpkit.nic.setup.apply import Changes, restore
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.nic.setup.journal import Owner

PTP_V2_EVENT = 12


@pytest.fixture
def directory() -> Iterator[Path]:
    with in_memory() as made:
        yield made


Make = Callable[..., tuple[FakeDriver, Changes]]


@pytest.fixture
def made(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a NIC's driver, and the journaled changes to it."""
    monkeypatch.setattr(hardware_stamps, "Phc", FakePhc)

    def make(**facts: Any) -> tuple[FakeDriver, Changes]:
        driver = FakeDriver(directory / "sys", NIC | facts)
        driver.install(monkeypatch)
        device = driver.device()
        return driver, Changes(device, new_journal(device, directory / "run"))

    return make


def written(driver: FakeDriver) -> int:
    return driver.written.count(hwtstamp.SIOCSHWTSTAMP)


def test_golden_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def ioctl(number: int, ifname: str, structure: bytes) -> bytes:
        seen.append((number, ifname, structure.hex()))
        return bytes.fromhex("000000000100000001000000")

    monkeypatch.setattr(ethtool, "interface_ioctl", ioctl)
    assert hwtstamp.read("eth1") == Setting(0, 1, 1)
    assert hwtstamp.write("eth1", Setting(0, 1, 15)) == Setting(0, 1, 1)
    assert seen == [
        (0x89B1, "eth1", "00" * 12),
        (0x89B0, "eth1", "00000000010000000f000000"),
    ]


def test_on_and_back(made: Make) -> None:
    driver, changes = made()
    stamps = HardwareStamps(changes)
    assert driver.nic["stamps"] == [0, 1, FILTER_ALL]
    assert stamps.phc.path == "/dev/ptp3"
    assert "hwstamp_ctl -i eth1 -t 1 -r 1 (undone on exit: hwstamp_ctl -i eth1 -t 1 -r 0)" in (
        stamps.describe()
    )
    [entry] = changes.journal.pending
    assert entry.setting == "stamps" and changes.journal.path.exists()
    stamps.give_up()
    assert driver.nic["stamps"] == [0, 1, FILTER_NONE]
    stamps.give_up()
    assert written(driver) == 2 and not changes.journal.pending


@pytest.mark.parametrize("makes", [FILTER_NTP_ALL, FILTER_ALL])
def test_the_ntp_filter_where_all_is_not_supported(
    made: Make, makes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a driver that stamps more than requested; after a crash that is recognized as ours."""
    driver, changes = made(filters={str(FILTER_NTP_ALL): makes})
    HardwareStamps(changes)
    assert driver.nic["stamps"] == [0, 1, makes]
    monkeypatch.setattr(Owner, "alive", False)
    [outcome], _ = restore(changes.device, changes.journal.path)
    assert str(outcome) == "hwstamp_ctl -i eth1 -t 1 -r 0"
    assert driver.nic["stamps"] == [0, 1, FILTER_NONE]


@pytest.mark.parametrize("on", hwtstamp.STAMPS_NTP)
def test_what_is_on_already_is_not_touched(made: Make, on: int) -> None:
    driver, changes = made(stamps=[0, 0, on])
    stamps = HardwareStamps(changes)
    assert "hwstamp_ctl" not in stamps.describe()
    stamps.give_up()
    assert written(driver) == 0


def test_taken_over_stamps_are_not_touched(made: Make) -> None:
    driver, changes = made()
    HardwareStamps(changes, taken_over=True).give_up()
    assert written(driver) == 0


def test_what_somebody_set_since_stays(made: Make, caplog: pytest.LogCaptureFixture) -> None:
    driver, changes = made()
    stamps = HardwareStamps(changes)
    driver.nic["stamps"] = [0, 2, FILTER_ALL]
    stamps.give_up()
    assert driver.nic["stamps"] == [0, 2, FILTER_ALL]
    assert "stamps left as it is: somebody has since run 'hwstamp_ctl -i eth1 -t 2" in caplog.text


def test_another_programs_filter_is_left_alone(made: Make) -> None:
    driver, changes = made(stamps=[0, 1, PTP_V2_EVENT])
    with pytest.raises(StampError, match=r"rx_filter 12.*hwstamp_ctl -i eth1 -t 1 -r 1"):
        HardwareStamps(changes)
    assert written(driver) == 0


@pytest.mark.parametrize("makes", [None, PTP_V2_EVENT, FILTER_NONE])
def test_a_nic_that_stamps_ptp_only(made: Make, makes: int | None) -> None:
    driver, changes = made(filters={} if makes is None else {str(FILTER_ALL): makes})
    with pytest.raises(StampError, match="stamps PTP packets only"):
        HardwareStamps(changes)
    assert driver.nic["stamps"] == [0, 1, FILTER_NONE]
    assert not changes.journal.pending


@pytest.mark.parametrize(
    "number, words",
    [
        (hwtstamp.SIOCGHWTSTAMP, "SIOCGHWTSTAMP: Operation not permitted"),
        (hwtstamp.SIOCSHWTSTAMP, r"cannot be turned on \(eth1: 'hwstamp_ctl.*not permitted"),
    ],
)
def test_not_allowed(made: Make, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    driver, changes = made()

    def refuse(request: int, ifname: str, structure: bytes) -> bytes:
        if request == number:
            raise fail(errno.EPERM)
        return driver.ioctl(request, ifname, structure)

    monkeypatch.setattr(ethtool, "interface_ioctl", refuse)
    with pytest.raises(StampError, match=words):
        HardwareStamps(changes)
    assert not changes.journal.pending


def test_no_journal_no_stamps(made: Make, directory: Path) -> None:
    (directory / "run").write_text("a file instead of the directory")
    driver, changes = made()
    with pytest.raises(StampError, match="left off: eth1: nothing was changed, as the journal"):
        HardwareStamps(changes)
    assert written(driver) == 0


@pytest.mark.parametrize(
    "phc, words",
    [(-1, "no hardware clock"), (9, r"/dev/ptp9, cannot be read \(No such file")],
)
def test_a_nic_without_clock(made: Make, phc: int, words: str) -> None:
    driver, changes = made(phc=phc)
    with pytest.raises(StampError, match=words):
        HardwareStamps(changes)
    assert written(driver) == 0


def test_what_cannot_be_undone_is_logged(
    made: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver, changes = made()
    stamps = HardwareStamps(changes)

    def broken(*_: object) -> bytes:
        raise fail(errno.EIO)

    monkeypatch.setattr(ethtool, "interface_ioctl", broken)
    stamps.give_up()
    assert "undo it with 'hwstamp_ctl -i eth1 -t 1 -r 0'" in caplog.text
    driver.install(monkeypatch)
    changes.undo("stamps")
    assert driver.nic["stamps"] == [0, 1, FILTER_NONE]


def test_this_machines_own_loopback_has_none() -> None:
    with pytest.raises(OSError, match="not supported"):
        hwtstamp.read("lo")
    assert ethtool.phc_index("lo") == -1
