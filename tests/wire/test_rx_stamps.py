"""Where receive stamps come from: the program bound to veth, its fallbacks, and what is logged.

veth passes on the stamp of a NIC behind it. It has no clock itself, and here no NIC: its stamp is
0, and the XDP program's own is used.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from payloads import ntp
from pyroute2 import IPRoute
from serving import (
    CONFIG,
    PATIENCE,
    XDPKIT,
    Server,
    attached,
    eventually,
    serving,
    write_config,
)
from wire import Wire

from xdpkit._core import _bpf
from xdpkit.bpf import loader
from xdpkit.config import InterfaceConfig
from xdpkit.dataplane import attach as rx_stamps
from xdpkit.dataplane.attach import Attached
from xdpkit.errors import StampError
from xdpkit.lab.namespaces import Lab
from xdpkit.lab.served import ServedLab
from xdpkit.nic.os import netdev
from xdpkit.nic.os.interface import from_link
from xdpkit.nic.os.phc_fit import PhcMap
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.hardware_stamps import HardwareStamps
from xdpkit.nic.setup.journal import Journal, Owner

pytestmark = pytest.mark.netns

NO_HARDWARE = "the driver of server0 has no hardware timestamps (SIOCGHWTSTAMP: Operation not"
REQUESTS = 3


@pytest.fixture(scope="module", autouse=True)
def kernel(lab: Lab) -> None:
    """Linux 6.3 and later: older kernels silently fall back for everything tested here."""
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    if release < (6, 3):
        pytest.skip(f"Linux {os.uname().release} binds no program to a device")


def with_key(**keys: str) -> str:
    """The configuration with these keys under [interface]."""
    lines = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return CONFIG.replace("queues", f"{lines}queues")


def calls(lab: Lab, tool: Callable[[str], str]) -> set[str]:
    """The functions that the attached program calls, as the kernel resolved them."""
    number = str(attached(lab.server))
    dump = lab.server.run(tool("bpftool"), "prog", "dump", "xlated", "id", number)
    assert dump.returncode == 0, dump.stderr
    return set(re.findall(r"call (\w+)#", dump.stdout))


@pytest.mark.parametrize(
    "keys, timestamps, asks, mode",
    [
        ({}, "xdp", True, "native"),
        ({"mode": "copy"}, "xdp", True, "native"),
        ({"rx_timestamps": "xdp"}, "xdp", False, "native"),
        ({"rx_timestamps": "loop"}, "loop", False, "native"),
        ({"mode": "generic"}, "xdp", False, "generic"),
    ],
    ids=["auto", "auto-copy", "xdp", "loop", "generic"],
)
def test_what_is_used_and_logged(
    lab: Lab,
    tmp_path: Path,
    tool: Callable[[str], str],
    keys: dict[str, str],
    timestamps: str,
    asks: bool,
    mode: str,
) -> None:
    with serving(lab, tmp_path, with_key(**keys)) as server:
        assert server.status()["timestamps"] == timestamps
        assert server.status()["mode"] == mode
        assert ("veth_xdp_rx_timestamp" in calls(lab, tool)) is asks
        assert server.log().count(NO_HARDWARE) == int(asks)
        if mode == "generic":
            # test_generic.py tests the answers in generic mode.
            return
        wire = Wire(lab)
        try:
            for _ in range(REQUESTS):
                wire.exchange(server, wire.frame(4, "ntp", ntp()), ("ntp_answered",), replies=1)
        finally:
            wire.close()
        status = server.status()
        loop = status["queues"]["2"]["loop"]
        assert status["timestamps"] == timestamps
        assert loop["stamp_hw"] == 0
        assert loop["stamp_xdp"] == (REQUESTS if timestamps == "xdp" else 0)
        assert loop["stamp_clock"] == (REQUESTS if timestamps == "loop" else 0)


def test_required_where_there_is_none(lab: Lab, tmp_path: Path) -> None:
    path = write_config(tmp_path, with_key(rx_timestamps="hardware"))
    done = lab.server.run(XDPKIT, "run", "-c", str(path), timeout=PATIENCE)
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert 'rx_timestamps = "hardware"' in line
    assert NO_HARDWARE in line
    assert '"auto" uses the best available' in line
    assert attached(lab.server) is None


def attach(lab: Lab, ifname: str = "server0", **keys: str) -> Attached:
    """Attaches as the server does, in its namespace."""
    with IPRoute(netns=lab.server.namespace) as ipr:
        [link] = ipr.get_links(ipr.link_lookup(ifname=ifname)[0])
    with lab.server.entered():
        device = Device(ifname)
        journal = Journal(Path("/nowhere"), Owner.me(ifname, device.identity()))
        config = InterfaceConfig(ifname, (0,), **keys)
        return rx_stamps.attach(config, from_link(link), Changes(device, journal))


def test_a_bound_program_is_for_native_mode_on_its_interface(lab: Lab) -> None:
    interface = lab.server.interface()
    with lab.server.entered():
        program = loader.load("steer", "STEER_RX_TIMESTAMP", ifindex=interface.index)
        with pytest.raises(OSError, match="Invalid argument"):
            _bpf.link_create(program.fd, interface.index, _bpf.SKB_MODE)
        os.close(_bpf.link_create(program.fd, interface.index, _bpf.DRV_MODE))
    with lab.client.entered(), pytest.raises(OSError, match="Invalid argument"):
        _bpf.link_create(program.fd, lab.client.interface().index, _bpf.DRV_MODE)
    program.close()


def test_the_kernel_runs_no_bound_program_for_a_test(lab: Lab) -> None:
    """Why tests/ebpf has the same program with a constant instead of the call."""
    interface = lab.server.interface()
    with lab.server.entered():
        program = loader.load("steer", "STEER_RX_TIMESTAMP", ifindex=interface.index)
        with pytest.raises(OSError, match="Invalid argument"):
            _bpf.prog_run(program.fd, bytes(64), interface.index)
    program.close()


def test_the_verifiers_message_is_kept(lab: Lab) -> None:
    interface = lab.server.interface()
    forever = bytes.fromhex("05 00 ff ff 00 00 00 00")
    with lab.server.entered(), pytest.raises(_bpf.VerifierError) as caught:
        _bpf.prog_load(forever, "forever", interface.index)
    assert caught.value.errno
    assert "processed" in caught.value.log or "loop" in caught.value.log, caught.value.log


@pytest.fixture(scope="module")
def bridge(lab: Lab) -> Iterator[str]:
    """An interface without native XDP, to which no program can be bound."""
    make = "ip link add bridge1 type bridge && ip link set bridge1 up"
    assert lab.server.run("sh", "-ec", make).returncode == 0
    yield "bridge1"
    lab.server.run("ip", "link", "del", "bridge1")


# Whether the driver claims to have stamps, and how many lines are logged if there are none.
@pytest.mark.parametrize("offered, lines", [(True, 1), (None, 0), (False, 0)])
def test_generic_mode_takes_the_plain_program(
    lab: Lab, bridge: str, monkeypatch: pytest.MonkeyPatch, offered: bool | None, lines: int
) -> None:
    monkeypatch.setattr(netdev, "offers_rx_timestamp", lambda _: offered)
    got = attach(lab, bridge)
    try:
        assert (got.mode, got.hardware) == ("generic", None)
        found = [note for note in got.notes if "receive times are the XDP program's" in note]
        assert len(found) == lines
        assert any("has no native XDP" in note for note in got.notes)
    finally:
        got.close()


@pytest.mark.parametrize("offered", [True, None, False])
def test_required_on_a_bridge(
    lab: Lab, bridge: str, monkeypatch: pytest.MonkeyPatch, offered: bool | None
) -> None:
    if offered is not False:
        monkeypatch.setattr(netdev, "offers_rx_timestamp", lambda _: offered)
    with pytest.raises(StampError, match=r'^rx_timestamps = "hardware": ') as caught:
        attach(lab, bridge, rx_timestamps="hardware")
    reason = (
        "offers XDP no hardware"
        if offered is False
        else "bound to the interface: bpf(BPF_PROG_LOAD): Operation not supported"
    )
    assert reason in str(caught.value)


class FakeStamps(HardwareStamps):
    """Stamps of a NIC that has them, for an interface without."""

    def __init__(self, changes: Changes) -> None:
        self.ifname, self.closed, self.given_up = changes.device.name, 0, 0

    def describe(self) -> str:
        return f"receive times come from {self.ifname}'s hardware"

    def give_up(self) -> None:
        self.given_up += 1

    def close(self) -> None:
        self.closed += 1


@pytest.mark.parametrize("demanded", ["auto", "hardware"])
def test_with_a_nic_that_has_stamps(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, demanded: str
) -> None:
    monkeypatch.setattr(rx_stamps, "HardwareStamps", FakeStamps)
    got = attach(lab, rx_timestamps=demanded)
    assert isinstance(got.hardware, FakeStamps)
    assert got.notes == ["receive times come from server0's hardware"]
    assert attached(lab.server) is not None
    got.close()
    assert attached(lab.server) is None
    assert got.hardware.closed == 1


def test_stamps_are_turned_off_when_the_program_does_not_attach(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[FakeStamps] = []

    def make(changes: Changes) -> FakeStamps:
        made.append(FakeStamps(changes))
        return made[-1]

    monkeypatch.setattr(rx_stamps, "HardwareStamps", make)
    monkeypatch.setattr(rx_stamps.link, "attach_native", lambda *_: None)
    with pytest.raises(StampError, match="has no native XDP"):
        attach(lab, rx_timestamps="hardware")
    [stamps] = made
    assert stamps.given_up == 1
    assert attached(lab.server) is None


def map_error(found: PhcMap) -> int:
    """How far off a map is now; more if this process is preempted between the reads."""
    raw, tai = (time.clock_gettime_ns(c) for c in (time.CLOCK_MONOTONIC_RAW, time.CLOCK_TAI))
    return abs(found.tai(raw) - tai)


def test_the_server_follows_the_nics_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole server, on an interface that seems to have a clock (fake_nic.py)."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    config = '[interface]\nname = "server0"\nqueues = [2]\nrx_timestamps = "hardware"\n[ntp]\n'
    with ServedLab(config, program=("fake_nic", "run", "-c")) as served:
        assert served.status()["timestamps"] == "hardware"
        on, off_again = (f"hwstamp_ctl -i server0 -t 0 -r {number}" for number in (1, 0))
        assert f"set by {on} (undone on exit: {off_again})" in served.log()
        assert (served.path / "stamps").read_text() == "0 0 1"
        eventually(lambda: served.log().count("fake map") > 1, "two maps of the clock")
        last = re.findall(r"^fake map (\{.*\})$", served.log(), re.MULTILINE)[-1]
        assert min(map_error(PhcMap(**json.loads(last))) for _ in range(10)) < 10**6
        assert served.stop() == 0
        assert (served.path / "stamps").read_text() == "0 0 0"


def test_the_stamps_are_turned_off_after_a_kill(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By ``restore`` and by the next start; and a successor leaves them on until it ends."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("FAKE_STAMPS", str(tmp_path / "stamps"))
    path, fake = write_config(tmp_path), (sys.executable, "-m", "fake_nic")

    def stamps() -> str:
        return (tmp_path / "stamps").read_text()

    def start(*more: str) -> Server:
        return Server(lab.server, path, more=more, program=(*fake, "run"))

    off_again = "undone: hwstamp_ctl -i server0 -t 0 -r 0"
    start().kill()
    assert stamps() == "0 0 1"
    assert off_again in lab.server.run(*fake, "restore", "server0").stdout
    assert stamps() == "0 0 0"
    start().kill()
    second = start()
    try:
        assert f"left by a crashed run, {off_again}" in second.log()
        assert stamps() == "0 0 1"
        new_server = start("--takeover")
        try:
            assert second.process.wait(PATIENCE) == 0, second.log()
            eventually(lambda: "stop with SIGTERM" in new_server.log(), "the successor")
            assert new_server.status()["timestamps"] == "hardware"
            assert stamps() == "0 0 1"
            assert new_server.stop() == 0, new_server.log()
        finally:
            new_server.kill()
    finally:
        second.kill()
    assert stamps() == "0 0 0"
    assert lab.server.run(*fake, "restore").stdout == "nothing to undo\n"
