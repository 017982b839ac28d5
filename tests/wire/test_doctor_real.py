"""``xdpkit doctor`` on real interfaces: it changes nothing, and its predictions come true."""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rights import NO_CAPABILITIES, NOBODY, need_readable_checkout
from serving import CONFIG, IFNAME, PATIENCE, XDPKIT, Server, interface_of, serving, write_config

from xdpkit._core import _bpf
from xdpkit.bpf import loader
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

Tool = Callable[[str], str]

# linux/if_tun.h.
TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x2, 0x1000

# More interfaces, with the command that creates each; all are up and have an address.
MADE = {
    "br0": "ip link add br0 type bridge",
    "tap0": "ip tuntap add tap0 mode tap",
    "macvlan0": "ip link add macvlan0 link server0 type macvlan",
    "large0": "ip link add large0 mtu 3600 type veth peer name large1 mtu 3600",
    "single0": "ip link add single0 numrxqueues 4 numtxqueues 4 type veth "
    "peer name single1 numtxqueues 1",
    "narrow0": "ip link add narrow0 numrxqueues 4 numtxqueues 4 type veth "
    "peer name narrow1 numtxqueues 4",
}


@pytest.fixture(scope="module")
def made(lab: Lab, tool: Tool) -> Iterator[Lab]:
    """The lab with MADE; this process holds the other end of the tap."""
    tool("ethtool")
    lines = [*MADE.values(), *(f"ip link set {name}1 up" for name in ("large", "single", "narrow"))]
    for number, name in enumerate(MADE):
        lines += [f"ip link set {name} up", f"ip address add 198.51.100.{number + 1}/32 dev {name}"]
    lines += [f"ethtool -L {name}0 rx 1 tx 1" for name in ("single", "narrow")]
    run(lab, "sh", "-ec", "\n".join(lines))
    with lab.server.entered():
        held = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(held, TUNSETIFF, struct.pack("16sH22x", b"tap0", IFF_TAP | IFF_NO_PI))
        yield lab
    finally:
        os.close(held)


def run(lab: Lab, *argv: str) -> str:
    """Runs a program in the server's namespace; it must succeed."""
    done = lab.server.run(*argv, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def doctor(lab: Lab, *argv: str, before: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The output of ``doctor --json``; exit status and text output must agree with it."""
    done = lab.server.run(*before, XDPKIT, "doctor", *argv, "--json", timeout=PATIENCE)
    assert done.stderr == ""
    reports: list[dict[str, Any]] = json.loads(done.stdout)["interfaces"]
    assert done.returncode == (0 if any(report["serves"] for report in reports) else 1)
    for report in reports:
        blocking = any(each["severity"] == "blocks" for each in report["findings"])
        assert report["serves"] is not blocking
    return reports


def finding(report: dict[str, Any], id: str) -> dict[str, Any]:
    [found] = [each for each in report["findings"] if each["id"] == id]
    return dict(found)


def config_for(name: str, queue: int = 0) -> str:
    # A port other than 53: interfaces in one namespace share the kernel's ports.
    return CONFIG.replace("server0", name).replace("[2]", f"[{queue}]")


STATE = r"""
for i in /sys/class/net/*; do
    name=${i##*/}
    for what in -i -k -l -g -c -x -n -T -a -P; do echo "$name $what"; ethtool $what $name 2>&1; done
    find $i/ -maxdepth 1 -type f ! -name uevent -exec sh -c 'echo $1; cat $1 2>&1' - {} \;
done
ip -details link | sed 's/_timer *[0-9.]*//g'; ip address | grep -v valid_lft; ip route; ip -6 route
cat /proc/sys/net/ipv4/conf/*/* 2>&1
cut -d' ' -f1-3 /proc/modules
bpftool net
grep -s . /proc/sys/vm/* /proc/sys/kernel/perf* /proc/sys/kernel/unpriv*
cat /proc/irq/*/smp_affinity
"""


def state(lab: Lab) -> Counter[str]:
    """Everything that could have been changed, by line."""
    return Counter(run(lab, "sh", "-c", STATE).replace(" tentative", "").splitlines())


@pytest.mark.parametrize("before", [(), NO_CAPABILITIES], ids=["root", "none"])
def test_nothing_is_changed(made: Lab, tool: Tool, before: tuple[str, ...]) -> None:
    tool("bpftool")
    was = state(made)
    assert was.total() > 1000
    doctor(made, before=before)
    doctor(made, "lo", before=before)
    now = state(made)
    assert (now - was, was - now) == (Counter(), Counter())


def test_system_calls_only_read(made: Lab, tool: Tool) -> None:
    """No bpf(2) that loads or attaches, no file opened for writing, no module, no namespace."""
    with tempfile.NamedTemporaryFile("r", prefix="xdpkit-test-") as log:
        calls = "trace=ioctl,bpf,openat,init_module,finit_module,setsockopt,mount,unshare"
        traced = (tool("strace"), "-f", "-qq", "-e", calls, "-o", log.name)
        doctor(made, IFNAME, before=traced)
        lines = log.read().splitlines()
    assert len(lines) > 100
    for line in lines:
        assert not any(call in line for call in ("init_module(", "mount(", "unshare(")), line
        if "bpf(" in line:
            assert "GET_FD_BY_ID" in line or "OBJ_GET_INFO" in line, line
        if "openat(" in line and ("O_WRONLY" in line or "O_RDWR" in line):
            assert "__pycache__" in line or "/dev/null" in line or "ENOENT" in line, line


@pytest.mark.parametrize(
    "name, expected, serves",
    [
        (IFNAME, "native mode, copy", True),
        ("br0", "generic mode", True),
        ("tap0", "native mode, copy", True),
        ("macvlan0", "generic mode", True),
        ("lo", "generic mode", True),
        ("large0", "native mode, copy", False),
        ("single0", "native mode, copy", True),
    ],
)
def test_a_start_gets_what_it_predicts(
    made: Lab, tmp_path: Path, name: str, expected: str, serves: bool
) -> None:
    queue = 2 if name in (IFNAME, "single0") else 0
    path = write_config(tmp_path, config_for(name, queue))
    [report] = doctor(made, name, "-c", str(path))
    assert (report["expected"], report["serves"]) == (expected, serves)
    if not serves:
        done = made.server.run(XDPKIT, "run", "-c", str(path), timeout=PATIENCE)
        assert done.returncode == 1 and name in done.stderr
        return
    server = Server(made.server, path, name)
    try:
        status = server.status()
        got = "generic mode" if status["mode"] == "generic" else "native mode, copy"
        assert got == expected and not status["zerocopy"]
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def test_veth_with_too_few_queues(made: Lab) -> None:
    """Its suggested command makes the driver's native XDP work."""
    [report] = doctor(made, "narrow0")
    assert report["expected"] == "generic mode"
    run(made, "sh", "-ec", finding(report, "veth-unpaired")["command"])
    [report] = doctor(made, "narrow0")
    assert report["expected"] == "native mode, copy"


def test_suggested_commands_fix(made: Lab, tmp_path: Path) -> None:
    """The obstacles of large0 and of an interface that is down are fixed by its commands."""
    path = write_config(tmp_path, config_for("large0"))
    run(made, "ip", "link", "set", "large0", "down")
    try:
        for id in ("mtu", "down"):
            [report] = doctor(made, "-c", str(path))
            assert not report["serves"]
            run(made, "sh", "-ec", finding(report, id)["command"])
        [report] = doctor(made, "-c", str(path))
        assert report["serves"]
        # With veth the peer matters too, and may be in a namespace out of sight.
        run(made, "ip", "link", "set", "large1", "mtu", "3000")
        server = Server(made.server, path, "large0")
        assert server.stop() == 0, server.log()
    finally:
        run(made, "ip", "link", "set", "large0", "up", "mtu", "3600")
        run(made, "ip", "link", "set", "large1", "mtu", "3600")


@contextmanager
def foreign(lab: Lab) -> Iterator[None]:
    """A foreign program on the lab's interface: this process's."""
    program = loader.load("catch")
    with lab.server.entered():
        fd = _bpf.link_create(program.fd, interface_of(lab.server)[0].index, _bpf.DRV_MODE)
    try:
        yield
    finally:
        os.close(fd)
        program.close()


def test_foreign_program(made: Lab) -> None:
    with foreign(made):
        [report] = doctor(made, IFNAME)
        found = finding(report, "foreign-program")
        assert "'catch'" in found["what"] and f"process {os.getpid()}" in found["what"]
        assert found["severity"] == "blocks" and str(os.getpid()) in found["command"]
        [blind] = doctor(made, IFNAME, before=NO_CAPABILITIES)
        assert finding(blind, "foreign-program")["severity"] == "blocks"
        assert "xdp.programs" not in blind["unknown"]
    [report] = doctor(made, IFNAME)
    assert report["serves"]


def test_program_without_an_owner(made: Lab, tool: Tool, tmp_path: Path) -> None:
    """Attached by netlink, it stays; the suggested command removes it."""
    source, built = tmp_path / "pass.c", tmp_path / "pass.o"
    source.write_text('__attribute__((section("xdp"))) int pass_all(void *c) { return 2; }\n')
    command = [tool("clang"), "-O2", "-target", "bpf", "-c", source, "-o", built]
    subprocess.run(command, check=True)
    run(made, "ip", "link", "set", "dev", IFNAME, "xdpgeneric", "obj", str(built), "sec", "xdp")
    [report] = doctor(made, IFNAME)
    found = finding(report, "foreign-program")
    assert "'pass_all'" in found["what"] and "generic" in found["what"]
    assert found["command"] == f"ip link set dev {IFNAME} xdpgeneric off"
    run(made, "sh", "-ec", found["command"])
    [report] = doctor(made, IFNAME)
    assert report["serves"]


def test_ourselves(made: Lab, tmp_path: Path) -> None:
    """A running instance's program and ports are no findings; it is the default interface."""
    with serving(made, tmp_path) as server:
        [report] = doctor(made)
        assert report["interface"] == IFNAME and report["serves"]
        assert report["facts"]["xdp"]["serving"]["pid"] == server.process.pid
        assert [each["name"] for each in report["facts"]["xdp"]["programs"]] == ["steer"]
        assert {"foreign-program", "port-taken"}.isdisjoint(
            each["id"] for each in report["findings"]
        )


def test_port_taken(made: Lab) -> None:
    with made.server.entered():
        import socket

        taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with taken:
        taken.bind((made.server.ipv4, 53))
        [report] = doctor(made, IFNAME)
        found = finding(report, "port-taken")
        assert f"process {os.getpid()}" in found["what"]
        [blind] = doctor(made, IFNAME, before=NO_CAPABILITIES)
        assert finding(blind, "port-taken")


def test_another_user(made: Lab) -> None:
    need_readable_checkout(made.server)
    [report] = doctor(made, IFNAME, before=("setpriv", *NOBODY))
    assert report["serves"]
    assert "CAP_NET_ADMIN" in finding(report, "capabilities-missing")["what"]


def test_sysfs_of_another_namespace(made: Lab) -> None:
    """Entered without its own /sys, as by nsenter."""
    with made.server.entered():
        done = subprocess.run(
            [XDPKIT, "doctor", IFNAME, "--json"],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    [report] = json.loads(done.stdout)["interfaces"]
    assert "ip netns exec" in report["unknown"]["device.node"]
    assert report["serves"]


def test_missing(made: Lab) -> None:
    done = made.server.run(XDPKIT, "doctor", "nowhere0", timeout=PATIENCE)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "'nowhere0' is not in this network namespace" in done.stderr and IFNAME in done.stderr


def test_all_in_short(made: Lab) -> None:
    done = made.server.run(XDPKIT, "doctor", timeout=PATIENCE)
    assert done.returncode == 0
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert {line.split(":")[0] for line in heads} >= {IFNAME, *MADE}
    assert "lo" not in {line.split(":")[0] for line in heads}
    assert "\033[" not in done.stdout
