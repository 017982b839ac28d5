"""The printed shell commands do what we do: ethtool itself runs them, on a simulated NIC."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_driver import IFNAME, NIC, FakeDriver
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.config.address import parse_address
from xdpkit.nic.os.ethtool_rss import weighted_table
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.apply import apply_steps, undo
from xdpkit.nic.setup.journal import Journal, Owner
from xdpkit.nic.setup.journal_lines import Entry
from xdpkit.nic.setup.plan import Plan, Wish, plan

Ethtool = Callable[[str, FakeDriver], str]

SERVED = ("192.0.2.1", "192.0.2.129@100", "2001:db8::1")


@pytest.fixture(scope="module")
def shim(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that sits between ethtool and the kernel."""
    made = tmp_path_factory.mktemp("shim") / "ethtool_shim.so"
    source = Path(__file__).with_name("ethtool_shim.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run([tool("gcc"), *flags, source, "-o", made, "-ldl"], check=True)
    return made


@pytest.fixture
def ethtool(tool: Callable[[str], str], shim: Path, tmp_path: Path) -> Ethtool:
    """Runs one command, as a shell would, against a driver; returns ethtool's output."""
    program = tool("ethtool")

    def run(line: str, driver: FakeDriver) -> str:
        name, *arguments = line.split()
        assert name == "ethtool"
        with answering(driver, tmp_path / "shim.socket") as address:
            environment = os.environ | {"LD_PRELOAD": str(shim), "ETHTOOL_SHIM": address}
            done = subprocess.run(
                [program, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    return run


@contextmanager
def answering(driver: FakeDriver, path: Path) -> Iterator[str]:
    """Serves the driver's ioctls over a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_answer, args=(driver, listener))
        thread.start()
        try:
            yield str(path)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink()


def _answer(driver: FakeDriver, listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            structure = connection.recv(8192)
            number = 0
            try:
                structure = driver.ioctl(0x8946, IFNAME, structure)
            except OSError as error:
                number = error.errno or 0
            connection.send(struct.pack("=i", number) + structure)


def apply_ourselves(
    driver: FakeDriver, tmp_path: Path, wish: Wish
) -> tuple[Plan, Journal, list[Entry]]:
    device = driver.device()
    made = plan(device.facts(), wish)
    journal = Journal(tmp_path / "journal", Owner.me(IFNAME, device.identity()))
    return made, journal, apply_steps(device, journal, made.steps)


@pytest.mark.parametrize("queues", [(5,), (2, 3), (7, 1, 4)])
@pytest.mark.parametrize("steering", ["ntuple", "rss"])
def test_the_commands_have_the_same_effect(
    ethtool: Ethtool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    queues: tuple[int, ...],
    steering: str,
) -> None:
    """Each command of the plan, then each command that undoes it."""
    ours, theirs = (FakeDriver(tmp_path / name) for name in ("ours", "theirs"))
    ours.install(monkeypatch)
    wish = Wish(queues, steering, tuple(map(parse_address, SERVED)), (53, 123))
    made, journal, entries = apply_ourselves(ours, tmp_path, wish)
    before = theirs.state()
    now = theirs.device()
    for step in made.steps:
        with monkeypatch.context() as patch:
            theirs.install(patch)
            old = now.get(step.setting)
            is_set = setting.same(old, now.exact(step.setting, step.value))
        if not is_set:
            ethtool(setting.line(IFNAME, step.setting, step.value, old), theirs)
    assert theirs.state() == ours.state() != before
    for entry in reversed(entries):
        ethtool(setting.line(IFNAME, entry.setting, entry.old, entry.new), theirs)
    undo(ours.device(), journal, list(journal.pending))
    assert theirs.state() == ours.state() == before


def test_ethtool_reads_our_rules(
    ethtool: Ethtool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeDriver(tmp_path / "sys")
    driver.install(monkeypatch)
    wish = Wish((2, 3), "ntuple", (parse_address("192.0.2.1"),), (53,))
    apply_ourselves(driver, tmp_path, wish)
    text = ethtool(f"ethtool -n {IFNAME}", driver)
    assert "Total 2 rules" in text and "Rule Type: UDP over IPv4" in text
    assert "Src IP addr: 0.0.0.1 mask: 255.255.255.254" in text
    assert "Dest IP addr: 192.0.2.1 mask: 0.0.0.0" in text
    assert "Dest port: 53 mask: 0x0" in text and "Src port: 0 mask: 0xffff" in text
    assert "Action: Direct to queue 3" in text


@pytest.mark.parametrize("slots", [6, 16, 100, 128])
@pytest.mark.parametrize("weights", [[1], [1, 1, 1, 0, 1], [0, 0, 1], [3, 1, 0, 2], [1, 0, 1]])
def test_ethtool_weighs_as_we_do(
    ethtool: Ethtool, tmp_path: Path, slots: int, weights: list[int]
) -> None:
    driver = FakeDriver(tmp_path / "sys", NIC | {"table": [0] * slots, "configured": True})
    driver.nic["channels"]["combined"] = 8
    ethtool(setting.line(IFNAME, setting.RSS, {"weights": weights}), driver)
    assert driver.nic["table"] == weighted_table(weights, slots)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any), st.sampled_from([16, 128]))
def test_a_table_has_its_weights_or_none(weights: list[int], slots: int) -> None:
    table = weighted_table(weights, slots)
    found = setting.weights_of(table)
    assert found is None or weighted_table(found, slots) == table
    assert setting.weights_of([1, 0] * 8) is None
    assert setting.line(IFNAME, setting.RSS, [1, 0] * 8).startswith("# ")
