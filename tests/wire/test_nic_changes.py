"""What ``xdpkit run`` changes on a real interface, and that it is undone however it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from payloads import query
from rights import NO_CAPABILITIES
from serving import (
    CONFIG,
    IFNAME,
    PATIENCE,
    XDPKIT,
    Server,
    eventually,
    interface_of,
    serving,
    write_config,
)
from wire import Wire

from xdpkit._core import _bpf
from xdpkit.bpf import loader
from xdpkit.lab.namespaces import Lab, Side

pytestmark = pytest.mark.netns

# A served VLAN tag must stay in the frame: two of veth's offloads have to be turned off.
TAGGED = CONFIG.replace("queues", 'addresses = ["192.0.2.1@100", "192.0.2.1"]\nqueues')
OFFLOADS = ("rx-vlan-hw-parse", "rx-vlan-stag-hw-parse")
LINES = [f"ethtool -K server0 {name} off" for name in OFFLOADS]
UNDO = [f"ethtool -K server0 {name} on" for name in reversed(OFFLOADS)]

State = dict[str, Any]


@pytest.fixture
def ethtool(tool: Callable[[str], str]) -> Callable[..., str]:
    program = tool("ethtool")

    def run(side: Side, *arguments: str) -> str:
        done = side.run(program, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(autouse=True)
def unchanged(lab: Lab, ethtool: Callable[..., str]) -> Iterator[Callable[[], State]]:
    """Gives the interface's state, which must be the same after each test as before."""

    def state() -> State:
        offloads = ethtool(lab.server, "-k", IFNAME).splitlines()[1:]
        return {
            "channels": ethtool(lab.server, "-l", IFNAME),
            **dict(line.strip().split(": ") for line in offloads),
        }

    before = state()
    yield state
    assert state() == before
    assert xdpkit(lab, "restore").stdout == "nothing to undo\n"


def xdpkit(lab: Lab, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = lab.server.run(XDPKIT, *arguments, timeout=PATIENCE)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def offloads(state: State) -> set[str]:
    return {state["rx-vlan-offload"], state["rx-vlan-stag-hw-parse"]}


def test_plan_changes_nothing(
    lab: Lab, tmp_path: Path, unchanged: Callable[[], State], ethtool: Callable[..., str]
) -> None:
    """And its lines, run by a shell, leave nothing more to do."""
    path = str(write_config(tmp_path, TAGGED))
    before = unchanged()
    text = xdpkit(lab, "plan", "-c", path).stdout
    assert unchanged() == before
    assert [line for line in text.splitlines() if not line.startswith("#")] == LINES
    assert "# already set: ethtool -L server0 rx 4 tx 4" in text
    assert "# server0: steering none: the driver of server0 (veth) has no rules" in text
    done = lab.server.run("sh", "-ec", text)
    assert done.returncode == 0, done.stderr
    assert offloads(unchanged()) == {"off"}
    assert "# nothing to change" in xdpkit(lab, "plan", "-c", path).stdout
    for line in UNDO:
        ethtool(lab.server, *line.split()[1:])


def test_plan_as_json_and_without_capabilities(lab: Lab, tmp_path: Path) -> None:
    path = str(write_config(tmp_path, TAGGED))
    done = lab.server.run(*NO_CAPABILITIES, XDPKIT, "plan", "--json", "-c", path)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["interface"], facts["driver"], facts["steering"]) == ("server0", "veth", "none")
    to_do = [step for step in facts["steps"] if not step["done"]]
    assert [step["line"] for step in to_do] == LINES
    assert [step["undo"] for step in reversed(to_do)] == UNDO
    assert all(step["why"] for step in facts["steps"])


def test_done_while_it_runs(lab: Lab, tmp_path: Path, unchanged: Callable[[], State]) -> None:
    before = unchanged()
    with serving(lab, tmp_path, TAGGED) as server:
        assert server.status()["steering"] == "none"
        assert offloads(unchanged()) == {"off"}
        assert all(f"changed until exit: {line}" in server.log() for line in LINES)
        line = xdpkit(lab, "restore", IFNAME, status=1).stderr
        assert f"xdpkit is running, pid {server.process.pid}: stop it first" in line
        assert f"xdpkit is running, pid {server.process.pid}" in plan_of(lab, tmp_path)
        assert offloads(unchanged()) == {"off"}
    assert unchanged() == before


def plan_of(lab: Lab, directory: Path) -> str:
    return xdpkit(lab, "plan", "-c", str(directory / "xdpkit.toml")).stdout


def test_killed_and_restored(lab: Lab, tmp_path: Path, unchanged: Callable[[], State]) -> None:
    before = unchanged()
    Server(lab.server, write_config(tmp_path, TAGGED)).kill()
    assert offloads(unchanged()) == {"off"}
    assert "a crashed run left changes" in plan_of(lab, tmp_path)
    done = json.loads(xdpkit(lab, "restore", "--json").stdout)
    assert [change["line"] for change in done[IFNAME]["changes"]] == UNDO
    assert {change["result"] for change in done[IFNAME]["changes"]} == {"undone"}
    assert unchanged() == before


def test_taken_over(lab: Lab, tmp_path: Path, unchanged: Callable[[], State]) -> None:
    """The changes stay, and the successor undoes them."""
    before = unchanged()
    with serving(lab, tmp_path, TAGGED) as server:
        new_server = Server(lab.server, server.path, more=("--takeover",))
        try:
            assert server.process.wait(PATIENCE) == 0, server.log()
            assert offloads(unchanged()) == {"off"}
            eventually(lambda: "stop with SIGTERM" in new_server.log(), "the successor")
            line = xdpkit(lab, "restore", IFNAME, status=1).stderr
            assert f"xdpkit is running, pid {new_server.process.pid}: stop it first" in line
            assert new_server.stop() == 0, new_server.log()
        finally:
            new_server.kill()
    assert unchanged() == before


def test_killed_and_changed_by_somebody(
    lab: Lab, tmp_path: Path, ethtool: Callable[..., str], unchanged: Callable[[], State]
) -> None:
    Server(lab.server, write_config(tmp_path, TAGGED)).kill()
    ethtool(lab.server, *UNDO[1].split()[1:])
    assert xdpkit(lab, "restore", IFNAME).stdout.splitlines() == [
        f"server0: undone: {line}" for line in UNDO
    ]


def test_killed_and_started_again(lab: Lab, tmp_path: Path, unchanged: Callable[[], State]) -> None:
    """What the first left is undone before the second plans its changes."""
    before = unchanged()
    Server(lab.server, write_config(tmp_path, TAGGED)).kill()
    with serving(lab, tmp_path) as server:
        assert all(f"left by a crashed run, undone: {line}" in server.log() for line in UNDO)
        assert unchanged() == before


def test_a_start_that_fails_puts_all_back(
    lab: Lab, tmp_path: Path, unchanged: Callable[[], State]
) -> None:
    before = unchanged()
    program = loader.load("catch")
    with lab.server.entered():
        fd = _bpf.link_create(program.fd, interface_of(lab.server)[0].index, _bpf.DRV_MODE)
    try:
        line = xdpkit(lab, "run", "-c", str(write_config(tmp_path, TAGGED)), status=1).stderr
        assert "'catch'" in line
        assert unchanged() == before
    finally:
        os.close(fd)
        program.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_queue_that_is_not_in_use_is_turned_on(
    lab: Lab, tmp_path: Path, ethtool: Callable[..., str], end: str
) -> None:
    def use(queues: int) -> None:
        # veth's native XDP needs as many RX queues as the other end has TX queues.
        for side in (lab.client, lab.server):
            ethtool(side, "-L", side.ifname, "rx", str(queues), "tx", str(queues))

    def in_use() -> list[str]:
        return re.findall(r"[RT]X:\s+(\d+)", ethtool(lab.server, "-l", IFNAME))[2:]

    use(2)
    try:
        server = Server(lab.server, write_config(tmp_path))
        try:
            assert "changed until exit: ethtool -L server0 rx 3 tx 3" in server.log()
            assert in_use() == ["3", "3"]
            assert server.status()["queues"].keys() == {"2"}
        finally:
            getattr(server, end)()
        if end == "kill":
            assert in_use() == ["3", "3"]
            line = "server0: undone: ethtool -L server0 rx 2 tx 2\n"
            assert xdpkit(lab, "restore").stdout == line
        assert in_use() == ["2", "2"]
    finally:
        use(4)


def test_answers_with_all_that_changed(lab: Lab, tmp_path: Path) -> None:
    with serving(
        lab, tmp_path, TAGGED.replace("queues", 'poll = "busy"\ndefer_irqs = true\nqueues')
    ) as server:
        assert "echo 200000 > /sys/class/net/server0/gro_flush_timeout" in server.log()
        shown = lab.server.run("cat", "/sys/class/net/server0/napi_defer_hard_irqs")
        assert shown.stdout == "2\n"
        wire = Wire(lab)
        try:
            request = wire.frame(4, "dns", query("www.example"))
            assert len(wire.exchange(server, request).replies) == 1
        finally:
            wire.close()
    assert lab.server.run("cat", "/sys/class/net/server0/napi_defer_hard_irqs").stdout == "0\n"


def refused(lab: Lab, directory: Path, config: str, *before: str) -> str:
    path = str(write_config(directory, config))
    done = lab.server.run(*before, XDPKIT, "run", "-c", path, timeout=PATIENCE)
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize("steering, has", [("ntuple", "such rules"), ("rss", "RSS table")])
def test_steering_that_veth_lacks(lab: Lab, tmp_path: Path, steering: str, has: str) -> None:
    config = CONFIG.replace("queues", f'steering = "{steering}"\nqueues')
    line = refused(lab, tmp_path, config)
    assert line.endswith(f'the driver of server0 (veth) has no {has}: set "auto"')
    plan = xdpkit(lab, "plan", "-c", str(tmp_path / "xdpkit.toml"), status=1)
    assert plan.stdout == "" and plan.stderr == f"{line}\n"


def test_rss_under_an_ssh_session(lab: Lab, tmp_path: Path) -> None:
    config = CONFIG.replace("queues", 'steering = "rss"\nqueues')
    session = f"SSH_CONNECTION={lab.client.ipv4} 50000 {lab.server.ipv4} 22"
    line = refused(lab, tmp_path, config, "env", session)
    assert f"an SSH session (from {lab.client.ipv4}) comes over it: add --yes" in line
    done = lab.server.run(
        *("env", session, XDPKIT, "run", "--yes", "-c", str(tmp_path / "xdpkit.toml"))
    )
    assert "no RSS table" in done.stderr


def test_a_member_of_a_bridge(lab: Lab, tmp_path: Path) -> None:
    script = """
    ip link add bridge0 type bridge
    ip link add member0 numrxqueues 4 type veth peer name member1
    ip link set member0 master bridge0 up
    ip link set member1 up
    ip addr flush dev member0
    """
    assert lab.server.run("sh", "-ec", script).returncode == 0
    try:
        line = refused(lab, tmp_path, CONFIG.replace("server0", "member0"))
        assert "member0 is a member of bridge0 and has no address" in line
        assert "[interface] addresses" in line
    finally:
        delete = "ip link del bridge0; ip link del member0"
        assert lab.server.run("sh", "-ec", delete).returncode == 0


def test_another_interface_under_the_name(lab: Lab, tmp_path: Path) -> None:
    """One interface's journal must not be replayed on the other."""
    make = "ip link add other0 type veth peer name other1"
    make += "; ip link set other0 up; ip link set other1 up"
    config = TAGGED.replace("server0", "other0").replace("[2]", "[0]")
    assert lab.server.run("sh", "-ec", make).returncode == 0
    Server(lab.server, write_config(tmp_path, config), "other0").kill()
    script = f"ip link del other0; {make}; ethtool -K other0 rx-vlan-hw-parse off"
    assert lab.server.run("sh", "-ec", script).returncode == 0
    for argv in (["restore", "other0"], ["restore"]):
        line = xdpkit(lab, *argv).stdout
        assert "other0: the interface that was changed (index " in line
    assert "rx-vlan-offload: off" in lab.server.run("ethtool", "-k", "other0").stdout
    [path] = re.findall(r"remove (\S+)$", line.strip())
    # It keeps nobody from serving the other one.
    server = Server(lab.server, tmp_path / "xdpkit.toml", "other0")
    try:
        assert "ethtool -K other0 rx-vlan-hw-parse off" not in server.log()
        assert server.stop() == 0
        Path(path).unlink()
    finally:
        server.kill()
    assert lab.server.run("ip", "link", "del", "other0").returncode == 0
