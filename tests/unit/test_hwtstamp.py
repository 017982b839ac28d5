"""Turning a NIC's stamps on and back, on a device that exists in bytes only."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass, field

import pytest

from xdpkit.errors import StampError
from xdpkit.nic import ethtool, hwtstamp
from xdpkit.nic.hwtstamp import FILTER_ALL, FILTER_NONE, FILTER_NTP_ALL, HardwareStamps, Setting

PTP_V2_EVENT = 12


class FakePhc:
    """Stands for /dev/ptpN, of which this machine has none."""

    def __init__(self, index: int) -> None:
        if index == 9:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.path = f"/dev/ptp{index}"
        self.closed = False

    def close(self) -> None:
        self.closed = True


@dataclass
class Nic:
    """A driver that knows the two ioctls; ``can`` are the filters that it takes, and what it makes
    of them."""

    setting: tuple[int, int, int] = (0, 1, FILTER_NONE)
    can: dict[int, int] = field(default_factory=lambda: {FILTER_ALL: FILTER_ALL})
    phc: int = 3
    errno: int = 0
    written: list[tuple[int, int, int]] = field(default_factory=list)

    def ioctl(self, number: int, ifname: str, structure: bytes) -> bytes:
        assert ifname == "eth1"
        if number == ethtool.SIOCETHTOOL:
            assert structure == struct.pack("=IIi32x", 0x41, 0, -1)
            return struct.pack("=IIi32x", 0x41, 0x5F, self.phc)
        if self.errno:
            raise OSError(self.errno, os.strerror(self.errno))
        flags, tx_type, rx_filter = struct.unpack("=iii", structure)
        if number == hwtstamp.SIOCSHWTSTAMP:
            self.written.append((flags, tx_type, rx_filter))
            if rx_filter and rx_filter not in self.can:
                raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
            self.setting = (flags, tx_type, self.can.get(rx_filter, rx_filter))
        return struct.pack("=iii", *self.setting)


@pytest.fixture
def nic(monkeypatch: pytest.MonkeyPatch) -> Nic:
    nic = Nic()
    monkeypatch.setattr(ethtool, "interface_ioctl", nic.ioctl)
    monkeypatch.setattr(hwtstamp, "Phc", FakePhc)
    return nic


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


def test_on_and_back(nic: Nic) -> None:
    stamps = HardwareStamps("eth1")
    assert nic.setting == (0, 1, FILTER_ALL)
    assert stamps.phc.path == "/dev/ptp3"
    assert "hwstamp_ctl -i eth1 -t 1 -r 1 (undone at the end: hwstamp_ctl -i eth1 -t 1 -r 0)" in (
        stamps.said()
    )
    stamps.close()
    assert nic.setting == (0, 1, FILTER_NONE)
    stamps.close()
    assert len(nic.written) == 2


def test_ntps_filter_where_all_is_too_much(nic: Nic) -> None:
    nic.can = {FILTER_NTP_ALL: FILTER_NTP_ALL}
    with HardwareStamps("eth1"):
        assert nic.setting == (0, 1, FILTER_NTP_ALL)
    assert nic.setting == (0, 1, FILTER_NONE)


@pytest.mark.parametrize("on", hwtstamp.STAMPS_NTP)
def test_what_is_on_already_is_not_touched(nic: Nic, on: int) -> None:
    nic.setting = (0, 0, on)
    with HardwareStamps("eth1") as stamps:
        assert "hwstamp_ctl" not in stamps.said()
    assert nic.written == []


def test_what_somebody_set_since_stays(nic: Nic) -> None:
    with HardwareStamps("eth1"):
        nic.setting = (0, 2, FILTER_ALL)
    assert nic.setting == (0, 2, FILTER_ALL)


def test_another_programs_filter_is_left_alone(nic: Nic) -> None:
    nic.setting = (0, 1, PTP_V2_EVENT)
    with pytest.raises(StampError, match=r"rx_filter 12.*hwstamp_ctl -i eth1 -t 1 -r 1"):
        HardwareStamps("eth1")
    assert nic.written == []


@pytest.mark.parametrize("can", [{}, {FILTER_ALL: PTP_V2_EVENT}, {FILTER_ALL: FILTER_NONE}])
def test_a_nic_that_stamps_ptp_only(nic: Nic, can: dict[int, int]) -> None:
    nic.can = can
    with pytest.raises(StampError, match="stamps PTP packets only"):
        HardwareStamps("eth1")
    assert nic.setting == (0, 1, FILTER_NONE)


def test_not_allowed(nic: Nic) -> None:
    nic.errno = errno.EPERM
    with pytest.raises(StampError, match="SIOCGHWTSTAMP: Operation not permitted"):
        HardwareStamps("eth1")


def test_a_nic_without_clock(nic: Nic) -> None:
    nic.phc = -1
    with pytest.raises(StampError, match="no hardware clock"):
        HardwareStamps("eth1")
    nic.phc = 9
    with pytest.raises(StampError, match=r"/dev/ptp9, cannot be read \(No such file"):
        HardwareStamps("eth1")
    assert nic.written == []


def test_an_interface_that_went_away(nic: Nic, caplog: pytest.LogCaptureFixture) -> None:
    stamps = HardwareStamps("eth1")
    nic.errno = errno.ENODEV
    stamps.close()
    assert caplog.text == ""


def test_what_cannot_be_put_back_is_said(nic: Nic, caplog: pytest.LogCaptureFixture) -> None:
    stamps = HardwareStamps("eth1")
    nic.errno = errno.EIO
    stamps.close()
    assert "hwstamp_ctl -i eth1 -t 1 -r 0 does it" in caplog.text


def test_this_machines_own_loopback_has_none() -> None:
    with pytest.raises(StampError, match="the driver of lo has no stamps of its hardware"):
        HardwareStamps("lo")
    assert ethtool.phc_index("lo") == -1
