"""Obstacles to a start: one line each, which contains the fix, and nothing is left behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from refusing import refused
from rights import NO_CAPABILITIES, NOBODY, open_directory
from serving import (
    CONFIG,
    IFNAME,
    attached,
    interface_of,
    ping,
    serving,
)

from xdpkit._core import _bpf
from xdpkit._core._xsk import XskSocket
from xdpkit.bpf import loader
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(autouse=True)
def nothing_left(lab: Lab) -> Iterator[None]:
    """Checks after each refusal that the interface is the kernel's, and that a good start works."""
    yield
    assert attached(lab.server) is None
    assert lab.server.run("ss", "-lunH").stdout == ""
    assert "@xdpkit/" not in lab.server.run("cat", "/proc/net/unix").stdout


def test_good_start(lab: Lab, tmp_path: Path) -> None:
    """The configuration that the refusals below start from works."""
    with serving(lab, tmp_path) as server:
        assert server.status()["mode"] == "native"
    ping(lab)


def test_no_capabilities(lab: Lab, tmp_path: Path) -> None:
    line = refused(lab, tmp_path, before=NO_CAPABILITIES)
    assert "this root does not have it: grant it" in line
    assert "CAP_BPF" in line


def test_another_user(lab: Lab) -> None:
    with open_directory(lab.server) as directory:
        line = refused(lab, directory, before=("setpriv", *NOBODY))
    assert "run as root" in line


def test_no_bcc(lab: Lab, tmp_path: Path) -> None:
    fake = tmp_path / "path" / "bcc"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise ImportError('No module named bcc')\n")
    line = refused(lab, tmp_path, before=("env", f"PYTHONPATH={fake.parent}"))
    assert "bcc cannot be loaded: No module named bcc" in line
    assert "python3-bpfcc" in line


def test_no_interface(lab: Lab, tmp_path: Path) -> None:
    line = refused(lab, tmp_path, CONFIG.replace("server0", "nowhere0"))
    assert "'nowhere0' does not exist" in line
    assert IFNAME in line


def test_interface_down(lab: Lab, tmp_path: Path) -> None:
    make = "ip link add idle0 type veth peer name idle1"
    assert lab.server.run("sh", "-c", make).returncode == 0
    line = refused(lab, tmp_path, CONFIG.replace("server0", "idle0").replace("[2]", "[0]"))
    assert "ip link set dev idle0 up" in line
    assert lab.server.run("ip", "link", "del", "idle0").returncode == 0


@pytest.mark.parametrize("queue", [4, 255])
def test_no_such_queue(lab: Lab, tmp_path: Path, queue: int) -> None:
    line = refused(lab, tmp_path, CONFIG.replace("[2]", f"[2, {queue}]"))
    assert f"has no RX queue {queue}" in line
    assert "0..3" in line


def test_queue_taken(lab: Lab, tmp_path: Path) -> None:
    with lab.server.entered():
        socket = XskSocket(interface_of(lab.server)[0].index, 2)
    try:
        line = refused(lab, tmp_path)
    finally:
        socket.close()
    assert "queue 2 of server0 is in use by another AF_XDP socket" in line
    assert "ss --xdp" in line


def test_another_instance(lab: Lab, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with serving(lab, tmp_path) as server:
        program = attached(lab.server)
        line = refused(lab, other)
        assert "server0" in line
        assert str(server.process.pid) in line
        assert attached(lab.server) == program
        assert server.status()["pid"] == server.process.pid


def test_too_little_locked_memory(lab: Lab, tmp_path: Path) -> None:
    drop = "-ipc_lock,-sys_resource"
    limited = ("prlimit", "--memlock=65536", "setpriv", f"--bounding-set={drop}")
    line = refused(lab, tmp_path, before=(*limited, f"--inh-caps={drop}"))
    assert "too little locked memory" in line
    assert "64 KiB" in line
    assert "LimitMEMLOCK=infinity" in line


@pytest.mark.parametrize("mode", ["auto", "generic"])
def test_foreign_program(lab: Lab, tmp_path: Path, mode: str) -> None:
    program = loader.load("catch")
    interface, _ = interface_of(lab.server)
    with lab.server.entered():
        fd = _bpf.link_create(program.fd, interface.index, _bpf.DRV_MODE)
    try:
        number = attached(lab.server)
        line = refused(lab, tmp_path, CONFIG.replace("queues", f'mode = "{mode}"\nqueues'))
        assert re.search(rf"'catch' \(id {number}\)", line)
        assert "xdp off" in line
        assert attached(lab.server) == number
        with lab.server.entered(), pytest.raises(OSError, match="busy"):
            link_again(program, interface.index)
    finally:
        os.close(fd)
        program.close()


def link_again(program: loader.Program, index: int) -> None:
    """Checks that the foreign program is still attached: a second one cannot be."""
    os.close(_bpf.link_create(program.fd, index, _bpf.DRV_MODE))


def test_port_taken(lab: Lab, tmp_path: Path) -> None:
    """No refusal: what another server has is left to it, and the log says so."""
    import socket

    with lab.server.entered():
        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind((lab.server.ipv4, 53))
        with serving(lab, tmp_path) as server:
            assert f"UDP {lab.server.ipv4}:53: in use by" in server.log()


@pytest.mark.parametrize(
    "wrong, fix",
    [
        ("queues = [2]", "queues = [two]"),
        ("queues = [2]", "queue = [2]"),
        ('zones = "zones"', 'zones = "nowhere"'),
        ("[echo]", "[ecko]"),
    ],
)
def test_configuration(lab: Lab, tmp_path: Path, wrong: str, fix: str) -> None:
    line = refused(lab, tmp_path, CONFIG.replace(wrong, fix), status=2)
    number = CONFIG[: CONFIG.index(wrong)].count("\n") + 1
    assert f"{tmp_path}/xdpkit.toml:{number}:" in line


def test_zerocopy_where_there_is_none(lab: Lab, tmp_path: Path) -> None:
    line = refused(lab, tmp_path, CONFIG.replace("queues", 'mode = "zerocopy"\nqueues'))
    assert "does not support zero-copy" in line
    assert '"copy"' in line
