"""The interface of a server: prepared, followed and restored, on a simulated NIC."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from fake_driver import IFNAME, NIC, NTUPLE, FakeDriver, fail
from nic_lab import FakePhc, in_memory, rule

from xdpkit.config import Config, EchoConfig, InterfaceConfig, ServedAddress
from xdpkit.config.address import parse_address
from xdpkit.errors import JournalError, NicError, SettingError
from xdpkit.nic.os import login
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.setup import device, hardware_stamps, journal, prepared
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.nic.setup.prepared import PreparedNic, refuse_login

A, B, C = map(parse_address, ("192.0.2.1", "192.0.2.2", "2001:db8::1"))


@pytest.fixture
def directory() -> Iterator[Path]:
    with in_memory() as made:
        yield made


def config(steering: str = "auto", queues: tuple[int, ...] = (2,)) -> Config:
    interface = InterfaceConfig(IFNAME, queues, steering=steering)
    return Config(Path("xdpkit.toml"), interface, echo=EchoConfig(port=7))


def a_driver(
    directory: Path, monkeypatch: pytest.MonkeyPatch, nic: dict[str, Any] | None = None
) -> FakeDriver:
    driver = FakeDriver(directory / "sys", nic)
    driver.install(monkeypatch)
    monkeypatch.setattr(prepared, "Device", lambda name: driver.device())
    return driver


def rules(driver: FakeDriver) -> list[Any]:
    return sorted(driver.nic["rules"].values())


def wanted(*addresses: Any) -> list[Any]:
    return sorted(rule(FlowMatch(served.address, 7), 2) for served in addresses)


def prepared_nic(config: Config, served: list[ServedAddress], directory: Path) -> PreparedNic:
    nic = PreparedNic(config, directory)
    nic.prepare(served)
    return nic


def test_rules_follow_the_addresses(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = a_driver(directory, monkeypatch)
    before = driver.state()
    with prepared_nic(config(), [A], directory) as nic:
        assert nic.steering == "ntuple" and rules(driver) == wanted(A)
        for served in ([A, B, C], [C], [], [B], [B]):
            assert nic.follow(served) == []
            assert rules(driver) == wanted(*served)
        # The journal has exactly what a crash would leave now.
        there = journal.read(nic.journal.path)
        assert there is not None
        settings = [entry.setting for entry in there.pending]
        assert [name for name in settings if name.startswith("rule")] == ["rule 192.0.2.2 7"]
        nic.follow([A, B])
    assert driver.state() == before
    assert list(directory.glob("*.journal")) == []


@pytest.mark.parametrize("steering", ["auto", "none"])
def test_a_tag_of_a_later_address_is_left_in_the_frame(
    directory: Path, monkeypatch: pytest.MonkeyPatch, steering: str
) -> None:
    driver = a_driver(directory, monkeypatch)
    before = driver.state()
    with prepared_nic(config(steering), [A], directory) as nic:
        assert driver.nic["features"]["rx-vlan-hw-parse"][0]
        assert nic.follow([A, parse_address("192.0.2.1@100")]) == []
        assert not driver.nic["features"]["rx-vlan-hw-parse"][0]
    assert driver.state() == before


def test_another_rule_that_conflicts_with_a_new_address(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = a_driver(directory, monkeypatch)
    driver.nic["features"][NTUPLE] = [True, True]
    driver.nic["rules"]["5"] = rule(FlowMatch(B.address, 7), 0)
    before = driver.state()
    with prepared_nic(config(), [A], directory) as nic:
        assert nic.follow([A, B]) == []
        assert rules(driver) == wanted(A, B)
    assert driver.state() == before


def test_no_room_for_a_new_address(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = a_driver(directory, monkeypatch, NIC | {"rule_slots": 2})
    before = driver.state()
    with prepared_nic(config(), [A], directory) as nic:
        [problem] = nic.follow([A, B, C])
        assert "all 2 locations are taken" in problem and "take the slow path" in problem
        assert rules(driver) == wanted(A, B)
        assert nic.follow([A, C]) == [] and rules(driver) == wanted(A, C)
    assert driver.state() == before


def test_auto_without_what_the_driver_refuses(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the first plan remains, and a note says why."""
    driver = a_driver(directory, monkeypatch, NIC | {"rule_slots": 1})
    with prepared_nic(config(), [A, B], directory) as nic:
        assert nic.steering == "none" and nic.follow([A]) == []
        assert any(note.startswith("no steering by ntuple: eth1: no room") for note in nic.notes)
        assert driver.nic["rules"] == {} and driver.nic["table"] == NIC["table"]
        assert driver.nic["features"] == NIC["features"] | {"rx-lro": [False, True]}
    with pytest.raises(SettingError, match="all 1 locations"):
        prepared_nic(config("ntuple"), [A, B], directory)
    assert driver.nic["features"] == NIC["features"]


def test_what_cannot_be_undone_is_logged_and_kept(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver = a_driver(directory, monkeypatch)
    before = driver.state()
    nic = prepared_nic(config(), [A], directory)
    real = driver.ioctl

    def moody(number: int, ifname: str, structure: bytes) -> bytes:
        if structure[0] == 0x3B:
            raise fail(errno.EIO)
        return real(number, ifname, structure)

    monkeypatch.setattr(device.ethtool, "interface_ioctl", moody)
    nic.close()
    assert "undo it with 'ethtool -K eth1 rx-lro on'" in caplog.text
    assert "undo it with 'ethtool -K eth1 rx-ntuple-filter off'" in caplog.text
    # The next run does not start until that is fixed.
    monkeypatch.setattr(journal.Owner, "alive", False)
    with pytest.raises(JournalError, match="changes of the last run could not be undone"):
        prepared_nic(config(), [A], directory)
    driver.install(monkeypatch)
    with prepared_nic(config(), [A], directory) as nic:
        assert any("crashed run, undone: ethtool -K eth1 rx-lro on" in note for note in nic.notes)
    assert driver.state() == before


def test_an_interface_that_goes_away(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a_driver(directory, monkeypatch)
    nic = prepared_nic(config(), [A], directory)

    def gone(*_: object) -> bytes:
        raise fail(errno.ENODEV)

    monkeypatch.setattr(device.ethtool, "interface_ioctl", gone)
    nic.close()
    assert "the interface is gone, and the setting with it" in caplog.text
    assert not any(record.levelno > logging.WARNING for record in caplog.records)
    assert list(directory.glob("*.journal")) == []


def test_channels_that_a_closing_socket_holds(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel releases them a moment after close: until then it returns EINVAL."""
    driver = a_driver(directory, monkeypatch)
    monkeypatch.setattr(device, "RELEASE_SECONDS", 60)
    real, refusals = driver.ioctl, [errno.EINVAL, errno.EBUSY]

    def held(number: int, ifname: str, structure: bytes) -> bytes:
        if structure[0] == 0x3D and refusals:
            raise fail(refusals.pop())
        return real(number, ifname, structure)

    monkeypatch.setattr(device.ethtool, "interface_ioctl", held)
    with prepared_nic(config(queues=(6,)), [A], directory):
        assert driver.nic["channels"]["combined"] == 7 and not refusals
    assert driver.nic["channels"] == NIC["channels"]


@pytest.mark.parametrize("successor", [config(), config(queues=(3,)), config("none")])
def test_a_successor(directory: Path, monkeypatch: pytest.MonkeyPatch, successor: Config) -> None:
    """It changes nothing before it serves, then only what it wants changed, and undoes it all."""
    driver = a_driver(directory, monkeypatch)
    driver.nic["features"][NTUPLE] = [True, True]
    driver.nic["rules"]["5"] = rule(FlowMatch(A.address, 7), 0)
    before = driver.state()
    first = prepared_nic(config(), [A], directory)
    changed, lines = driver.state(), first.journal.path.read_bytes()
    second = PreparedNic(successor, directory)
    second.prepare([A], taken_over=True)
    # A successor that goes away again.
    PreparedNic(successor, directory).close()
    assert driver.state() == changed and first.journal.path.read_bytes() == lines
    first.hand_over()
    second.take_over([A, B])
    first.close()
    there = journal.read(second.journal.path)
    assert there is not None and there.pending == second.journal.pending
    if successor.interface.steering == "none":
        assert second.steering == "none" and rules(driver) == [rule(FlowMatch(A.address, 7), 0)]
    else:
        [queue] = successor.interface.queues
        assert second.steering == "ntuple"
        assert rules(driver) == [rule(FlowMatch(served.address, 7), queue) for served in (A, B)]
        assert queue not in driver.nic["table"]
    assert second.follow([C]) == []
    second.close()
    assert driver.state() == before
    assert list(directory.glob("*.journal")) == list(directory.glob("*.new")) == []


def test_the_hardwares_stamps(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are turned off with everything else, by whichever instance is last, or the next one."""
    driver = a_driver(directory, monkeypatch)
    monkeypatch.setattr(hardware_stamps, "Phc", FakePhc)
    before = driver.state()
    first = prepared_nic(config(), [A], directory)
    HardwareStamps(first.changes).close()
    assert driver.nic["stamps"] == [0, 1, 1]
    second = PreparedNic(config("none"), directory)
    second.prepare([A], taken_over=True)
    # One that goes away again does not turn off what it did not turn on.
    HardwareStamps(second.changes, taken_over=True).give_up()
    assert driver.nic["stamps"] == [0, 1, 1]
    first.hand_over()
    second.take_over([A])
    assert driver.nic["stamps"] == [0, 1, 1]
    second.close()
    assert driver.state() == before
    # Killed.
    third = prepared_nic(config(), [A], directory)
    HardwareStamps(third.changes).close()
    monkeypatch.setattr(journal.Owner, "alive", False)
    with prepared_nic(config(), [A], directory) as nic:
        line = "left by a crashed run, undone: hwstamp_ctl -i eth1 -t 1 -r 0"
        assert line in nic.notes
        assert driver.nic["stamps"] == [0, 1, 0]
    assert driver.state() == before
    assert list(directory.glob("*.journal")) == []


def test_a_successor_of_one_that_changed_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = a_driver(directory, monkeypatch)
    before = driver.state()
    with PreparedNic(config(), directory) as nic:
        nic.prepare([A], taken_over=True)
        nic.take_over([A])
        assert rules(driver) == wanted(A)
    assert driver.state() == before


def test_a_successor_keeps_what_it_cannot_change(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = a_driver(directory, monkeypatch, NIC | {"rule_slots": 1})
    before = driver.state()
    first = prepared_nic(config("ntuple"), [A], directory)
    first.hand_over()
    with PreparedNic(config("ntuple"), directory) as nic:
        nic.take_over([A, B])
        assert "the rest is as the predecessor left it" in nic.notes[-1]
        assert nic.steering == "ntuple"
        assert rules(driver) == wanted(A)
    assert driver.state() == before


@pytest.mark.parametrize("steering, peer, yes", [("rss", None, False), ("rss", "::1", True)])
def test_a_login_that_does_not_matter(steering: str, peer: str | None, yes: bool) -> None:
    refuse_login(config(steering), peer, yes)
    refuse_login(config("ntuple"), "192.0.2.7", yes=False)


def test_a_login_that_matters() -> None:
    with pytest.raises(NicError, match=r"SSH session \(from 192.0.2.7\) comes over it: add --yes"):
        refuse_login(config("rss"), "192.0.2.7", yes=False)


def test_who_is_logged_in(tmp_path: Path) -> None:
    """Lines of proc_net(5), from a little-endian machine."""
    head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    (tmp_path / "tcp").write_text(
        head
        + "   0: 010200C0:0016 020200C0:C350 01 00000000:00000000\n"
        + "   1: 00000000:0016 00000000:0000 0A 00000000:00000000\n"
        + "   2: 010200C0:0035 020200C0:C350 01 00000000:00000000\n"
    )
    v6 = "B80D0120000000000000000001000000"
    mapped = "0000000000000000FFFF0000030200C0"
    (tmp_path / "tcp6").write_text(
        head
        + f"   0: {v6}:0016 {v6[:-8]}02000000:C350 01 00000000:00000000\n"
        + f"   1: {mapped}:0016 {mapped[:-8]}040200C0:C350 01 00000000:00000000\n"
    )
    assert login.established(tmp_path) == [
        (ip_address("192.0.2.1"), ip_address("192.0.2.2")),
        (ip_address("2001:db8::1"), ip_address("2001:db8::2")),
        (ip_address("192.0.2.3"), ip_address("192.0.2.4")),
    ]
    assert login.established(tmp_path / "nowhere") == []
    assert login.session("192.0.2.2 50000 192.0.2.1 22") == [
        (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    ]
    assert login.session("") == login.session("no such thing as this") == []
