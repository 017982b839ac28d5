"""What ``xdpkit plan`` and ``xdpkit restore`` print, for a simulated NIC."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from fake_driver import IFINDEX, IFNAME, FakeDriver

from xdpkit.cli import main as cli
from xdpkit.cli import plan as plan_view
from xdpkit.config.address import parse_address
from xdpkit.nic.setup import journal
from xdpkit.nic.setup.apply import apply_steps
from xdpkit.nic.setup.journal import Journal, Owner
from xdpkit.nic.setup.plan import Wish, plan

CONFIG = """
[interface]
name = "eth1"
queues = [4, 5]
[echo]
"""

TEXT = """\
# eth1: steering ntuple: rules in the NIC steer requests to queue 4, 5
# eth1: somebody is logged in
# already set: ethtool -X eth1 default
# the chosen queues must be in use
ethtool -L eth1 combined 6
# so that the driver steers by rules
ethtool -K eth1 rx-ntuple-filter on
# to keep the kernel's traffic off our queues
ethtool -X eth1 weight 1 1 1 1 0 0
# requests for port 7 to queue 4
ethtool -N eth1 flow-type udp4 src-ip 0.0.0.0 m 255.255.255.254 dst-ip 192.0.2.1 dst-port 7 action 4
# requests for port 7 to queue 5
ethtool -N eth1 flow-type udp4 src-ip 0.0.0.1 m 255.255.255.254 dst-ip 192.0.2.1 dst-port 7 action 5
# it merges packets, and many drivers refuse XDP with it
ethtool -K eth1 rx-lro off
# already set: ethtool -K eth1 rx-udp-gro-forwarding off
# undone on exit, or by xdpkit restore:
#   ethtool -K eth1 rx-lro on
#   ethtool -N eth1 delete ID
#   ethtool -N eth1 delete ID
#   ethtool -X eth1 default
#   ethtool -K eth1 rx-ntuple-filter off
#   ethtool -L eth1 combined 4
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver = FakeDriver(tmp_path / "sys")
    driver.install(monkeypatch)

    async def served_addresses(config: Any) -> Any:
        return [parse_address("192.0.2.1")], ["somebody is logged in"]

    monkeypatch.setattr(plan_view, "_served_addresses", served_addresses)
    monkeypatch.setattr(plan_view, "Device", lambda name: driver.device())
    monkeypatch.setattr(journal, "STATE", tmp_path / "run")
    return driver


def test_a_plan(driver: FakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "xdpkit.toml").write_text(CONFIG)
    before = driver.state()
    assert cli.main(["plan", "-c", str(tmp_path / "xdpkit.toml")]) == 0
    assert capsys.readouterr().out == TEXT
    assert driver.state() == before and driver.written == []


def changed(driver: FakeDriver) -> Journal:
    device = driver.device()
    kept = Journal(journal.path_of(IFINDEX), Owner.me(IFNAME, device.identity()))
    wish = Wish((5,), "rss", (), (7,))
    apply_steps(device, kept, plan(device.facts(), wish).steps)
    return kept


def test_restored(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = driver.state()
    kept = changed(driver)
    assert kept.path.exists() and driver.state() != before
    assert cli.main(["restore"]) == 1
    assert f"xdpkit is running, pid {os.getpid()}: stop it first" in capsys.readouterr().err
    monkeypatch.setattr(Owner, "alive", False)
    driver.nic["features"]["rx-lro"][0] = True
    assert cli.main(["restore"]) == 0
    assert capsys.readouterr().out == (
        "eth1: undone: ethtool -K eth1 rx-lro on\n"
        "eth1: undone: ethtool -X eth1 default\n"
        "eth1: undone: ethtool -L eth1 combined 4\n"
    )
    assert driver.state() == before
    assert cli.main(["restore", "eth1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


def test_what_is_left_and_what_fails(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(driver)
    monkeypatch.setattr(Owner, "alive", False)
    # Somebody's table names a queue that the old number of channels does not have.
    driver.nic |= {"table": [5, 4] * 8, "configured": True}
    assert cli.main(["restore", "eth1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == (
        "eth1: left: ethtool -X eth1 default (somebody has since run '# ethtool -X eth1: no "
        "weights make this table')"
    )
    assert "eth1: failed: ethtool -L eth1 combined 4 (eth1: " in lines[2]
    assert [path.name.split("@")[0] for path in journal.paths()[0]] == [str(IFINDEX)]


def test_after_a_reboot(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(driver)
    monkeypatch.setattr(journal, "boot_id", lambda: "another")
    assert cli.main(["restore"]) == 0
    assert "before the last reboot, which undid everything: dropped it" in capsys.readouterr().out
    assert journal.paths() == ([], [])
    assert cli.main(["restore"]) == 0
    assert capsys.readouterr().out == "nothing to undo\n"
