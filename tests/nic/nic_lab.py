"""Helpers for tests in which a simulated NIC is changed or fails, or the changer is killed."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_driver import IFINDEX, IFNAME, NIC, NTUPLE, FakeDriver

from xdpkit.config.address import parse_address
from xdpkit.errors import SettingError
from xdpkit.nic.os.ethtool_rxnfc import FlowMatch
from xdpkit.nic.os.hwtstamp import FILTER_ALL
from xdpkit.nic.setup import journal as journals
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.apply import apply_steps
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Journal, Owner
from xdpkit.nic.setup.plan import Plan, Step, Wish, plan, wanted_rules
from xdpkit.nic.setup.setting import Value

SERVED = tuple(map(parse_address, ("192.0.2.1@100", "2001:db8::1")))
WISH = Wish((5,), "auto", SERVED, (53, 123), defer_irqs=True, irq_cpus=(1,))


@contextmanager
def in_memory() -> Iterator[Path]:
    """A directory in memory, like /run: each line of a journal is synced to disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        yield Path(directory)


def rule(match: FlowMatch, queue: int) -> list[Any]:
    flow = match.flow()
    return [flow.kind, flow.value.hex(), flow.mask.hex(), queue]


def used_nic() -> dict[str, Any]:
    """A NIC that somebody configured: a custom table, and a rule for one of our requests."""
    features = {name: list(feature) for name, feature in NIC["features"].items()}
    features[NTUPLE] = [True, True]
    stale = rule(FlowMatch(SERVED[0].address, 53), 1)
    other = rule(FlowMatch(SERVED[0].address, 5353), 1)
    table = {"table": [3, 3, 2, 1] * 4, "configured": True}
    return NIC | table | {"features": features, "rules": {"9": stale, "31": other}}


NICS: dict[str, Callable[[], dict[str, Any]]] = {"new": lambda: NIC, "used": used_nic}


class FakePhc:
    """Replaces /dev/ptpN, which this machine does not have."""

    def __init__(self, index: int) -> None:
        if index == 9:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        self.path = f"/dev/ptp{index}"

    def close(self) -> None:
        pass


class Tripping(Device):
    """Calls ``trip`` before or after the change with a given number, from 1."""

    def __init__(self, driver: FakeDriver, at: int, after: bool, trip: Callable[[], None]) -> None:
        super().__init__(IFNAME, driver.sysfs, driver.proc)
        self.at, self.after, self.trip, self.count = at, after, trip, 0

    def set(self, name: str, value: Value) -> None:
        self.count += 1
        here = self.count == self.at
        if here and not self.after:
            self.trip()
        super().set(name, value)
        if here and self.after:
            self.trip()


def fail() -> None:
    raise SettingError(IFNAME, "the driver's mood", errno.EIO)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def new_journal(device: Device, directory: Path) -> Journal:
    path = journals.path_of(IFINDEX, directory)
    return Journal(path, Owner.me(IFNAME, device.identity()))


def planned(device: Device, wish: Wish = WISH) -> Plan:
    """The plan, plus hardware timestamps, which are turned on after everything in a plan."""
    made = plan(device.facts(), wish)
    stamps = device.get(setting.STAMPS) | {"rx_filter": FILTER_ALL}
    return replace(made, steps=(*made.steps, Step(setting.STAMPS, stamps, "receive times")))


def count_of_changes(directory: Path, nic: dict[str, Any], patch: pytest.MonkeyPatch) -> int:
    driver = FakeDriver(directory / "count", nic)
    with patch.context() as inner:
        driver.install(inner)
        device = Tripping(driver, 0, False, fail)
        apply_steps(device, new_journal(device, directory / "run"), planned(device).steps)
        count = device.count
        for path in (directory / "run").iterdir():
            path.unlink()
    assert count > 10
    return count


def check_done(driver: FakeDriver, wish: Wish) -> None:
    """Each request has its rule, and the table leaves our queues to them."""
    rules = list(driver.nic["rules"].values())
    for match, queue in wanted_rules(wish).items():
        assert [found for found in rules if found[:3] == rule(match, queue)[:3]] == [
            rule(match, queue)
        ]
    if driver.nic["table"] and set(range(driver.queues)) - set(wish.queues):
        assert not set(driver.nic["table"]) & set(wish.queues)


def in_a_child(run: Callable[[], object]) -> int:
    """Runs it in a child process; returns the signal that killed it, or 0."""
    child = os.fork()
    if child == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def kept_driver(directory: Path, nic: dict[str, Any], patch: pytest.MonkeyPatch) -> FakeDriver:
    """A driver whose state outlives the process that changes it."""
    directory.mkdir(exist_ok=True)
    driver = FakeDriver(directory / "sys", nic, directory / "nic.json")
    driver.install(patch)
    return driver


def changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nic: dict[str, Any] = NIC
) -> tuple[FakeDriver, Device, Path]:
    """A NIC that was changed by a process that is gone."""
    driver = kept_driver(tmp_path, nic, monkeypatch)

    def change() -> None:
        device = driver.device()
        apply_steps(device, new_journal(device, tmp_path / "run"), planned(device).steps)

    assert in_a_child(change) == 0
    driver = kept_driver(tmp_path, nic, monkeypatch)
    return driver, driver.device(), journals.path_of(IFINDEX, tmp_path / "run")
