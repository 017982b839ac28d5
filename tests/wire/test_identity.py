"""An interface is itself under any name and in any namespace: renamed, by altname, moved."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from serving import (
    CONFIG,
    PATIENCE,
    WWW,
    XDPKIT,
    Server,
    attached,
    eventually,
    look_up,
    serving,
    write_config,
)

from xdpkit.lab.namespaces import Lab, Side
from xdpkit.runtime.netns import namespace

pytestmark = pytest.mark.netns

NEW = "lan0"
LONG = "an-interface-with-a-name-of-more-than-fifteen-bytes"
OFFLOAD = "rx-vlan-hw-parse"
# Serving a tag turns off an offload of veth, which the journal has then.
TAGGED = CONFIG.replace("queues", 'addresses = ["192.0.2.1@100", "192.0.2.1"]\nqueues')


@pytest.fixture
def lab() -> Iterator[Lab]:
    """One of its own: its interface is renamed."""
    with Lab() as made:
        yield made


def ip(side: Side, *arguments: str) -> None:
    done = side.run("ip", *arguments)
    assert done.returncode == 0, done.stderr


def offload(namespace: str, ifname: str) -> str:
    """The state of an offload that a run turns off."""
    argv = ["ip", "netns", "exec", namespace, "ethtool", "-k", ifname]
    text = subprocess.run(argv, text=True, capture_output=True, check=True).stdout
    [line] = [line for line in text.splitlines() if line.startswith("rx-vlan-offload:")]
    return line.split()[1]


def names(side: Side) -> list[str]:
    """The abstract names of xdpkit that are listened at."""
    with side.entered():
        table = Path("/proc/thread-self/net/unix").read_text()
    lines = [line.split() for line in table.splitlines() if " 00010000 " in line]
    return [words[7] for words in lines if len(words) > 7 and words[7].startswith("@xdpkit/")]


def journals(lab: Lab) -> list[Path]:
    """Those of the server's namespace, which an interface leaves behind there."""
    with lab.server.entered():
        return list(Path("/run/xdpkit").glob(f"*@{namespace()}.journal"))


def xdpkit(side: Side, *arguments: str, status: int = 0) -> str:
    done = side.run(XDPKIT, *arguments, timeout=PATIENCE)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def rename(lab: Lab, server: Server) -> None:
    ip(lab.server, "link", "set", "dev", "server0", "name", NEW)
    eventually(lambda: names(lab.server) == [f"@xdpkit/{NEW}"], "the new name")
    server.ifname = NEW


def test_renamed_while_it_serves(lab: Lab, tmp_path: Path) -> None:
    was = offload(lab.server.namespace, "server0")
    assert was == "on"
    server = Server(lab.server, write_config(tmp_path, TAGGED))
    try:
        assert offload(lab.server.namespace, "server0") == "off"
        rename(lab, server)
        assert server.log().count("server0 is now called lan0") == 1
        assert look_up(lab.client) == [WWW]
        assert server.status()["interface"] == NEW
        assert json.loads(xdpkit(lab.server, "status", "--json"))["interface"] == NEW
        assert "not served" in xdpkit(lab.server, "status", "server0", status=1)
        assert "reloaded" in xdpkit(lab.server, "reload", NEW)
        # The old name may be another interface's by now, and is not served.
        ip(lab.server, "link", "add", "server0", "type", "veth")
        # The file may have the new name.
        server.path.write_text(TAGGED.replace("server0", NEW))
        assert "reloaded" in xdpkit(lab.server, "reload", NEW)
        # An address that comes later is served.
        ip(lab.server, "addr", "add", "192.0.2.78/24", "dev", NEW)
        assert server.stop() == 0, server.log()
        assert offload(lab.server.namespace, NEW) == "on"
        assert journals(lab) == []
    finally:
        server.kill()


def test_taken_over_after_a_rename(lab: Lab, tmp_path: Path) -> None:
    server = Server(lab.server, write_config(tmp_path, TAGGED))
    other = write_config(tmp_path / "other", TAGGED.replace("server0", NEW))
    try:
        rename(lab, server)
        done = lab.server.run(XDPKIT, "run", "-c", str(other))
        assert done.returncode == 1 and "another xdpkit serves lan0 (pid" in done.stderr
        second = Server(lab.server, other, ifname=NEW, more=("--takeover",))
        try:
            assert server.process.wait(PATIENCE) == 0, server.log()
            assert "restarted, not taken over" not in second.log()
            assert look_up(lab.client) == [WWW]
            ip(lab.server, "link", "set", "dev", NEW, "name", "server0")
            eventually(lambda: names(lab.server) == ["@xdpkit/server0"], "the old name again")
            assert second.stop() == 0, second.log()
            assert offload(lab.server.namespace, "server0") == "on"
            assert journals(lab) == []
        finally:
            second.kill()
    finally:
        server.kill()


@pytest.mark.parametrize("by", ["restore", "named", "the next run"])
def test_renamed_after_a_crash(lab: Lab, tmp_path: Path, by: str) -> None:
    server = Server(lab.server, write_config(tmp_path, TAGGED))
    server.kill()
    ip(lab.server, "link", "set", "dev", "server0", "name", NEW)
    ip(lab.server, "link", "add", "server0", "type", "veth")
    assert offload(lab.server.namespace, NEW) == "off" and len(journals(lab)) == 1
    if by == "the next run":
        path = write_config(tmp_path / "other", TAGGED.replace("server0", NEW))
        again = Server(lab.server, path, ifname=NEW)
        assert "left by a crashed run, undone: ethtool -K lan0" in again.log()
        assert again.stop() == 0
        again.kill()
    else:
        done = xdpkit(lab.server, "restore", *([NEW] if by == "named" else []))
        assert "lan0: undone: ethtool -K lan0" in done
    assert offload(lab.server.namespace, NEW) == "on" and journals(lab) == []


@pytest.mark.parametrize("altname", ["short0", LONG])
def test_by_altname(lab: Lab, tmp_path: Path, altname: str) -> None:
    ip(lab.server, "link", "property", "add", "dev", "server0", "altname", altname)
    config = TAGGED.replace("server0", altname)
    path = write_config(tmp_path, config)
    assert "server0" in xdpkit(lab.server, "plan", "-c", str(path))
    assert "server0: veth" in xdpkit(lab.server, "doctor", altname, "-c", str(path))
    with serving(lab, tmp_path, config) as server:
        assert names(lab.server) == ["@xdpkit/server0"]
        for name in (altname, "server0"):
            assert (
                json.loads(xdpkit(lab.server, "status", name, "--json"))["interface"] == "server0"
            )
            assert "reloaded" in xdpkit(lab.server, "reload", name)
        # By its name in the file.
        server.path.write_text(TAGGED)
        assert "reloaded" in xdpkit(lab.server, "reload", altname)
        done = lab.server.run(XDPKIT, "run", "-c", str(path))
        assert done.returncode == 1 and "another xdpkit serves server0 (pid" in done.stderr
        second = Server(lab.server, path, more=("--takeover",))
        try:
            assert server.process.wait(PATIENCE) == 0, server.log()
            second.kill()
            assert "undone: ethtool -K server0" in xdpkit(lab.server, "restore", altname)
        finally:
            second.kill()
    assert attached(lab.server) is None


@contextmanager
def other_namespace(lab: Lab) -> Iterator[Side]:
    name = f"{lab.server.namespace}-other"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield Side(name, "server0", lab.server.ipv4, lab.server.ipv6)
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


@pytest.mark.parametrize("index", ["kept", "another"])
@pytest.mark.parametrize("killed", [False, True], ids=["serving", "killed"])
def test_moved_to_another_namespace(lab: Lab, tmp_path: Path, killed: bool, index: str) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(other_namespace(lab))
        server = Server(lab.server, write_config(tmp_path, TAGGED))
        if index == "another":
            ip(other, "link", "add", "taken0", "type", "veth")
            with other.entered():
                assert lab.server.interface().index in dict(socket.if_nameindex())
        if killed:
            server.kill()
        ip(lab.server, "link", "set", "dev", "server0", "netns", other.namespace)
        if not killed:
            assert server.process.wait(PATIENCE) == 1
            assert "server0 was moved to another network namespace" in server.log()
            assert "Traceback" not in server.log()
        assert offload(other.namespace, "server0") == "off"
        # Not there any more: the journal stays, and a line says where to go.
        line = xdpkit(lab.server, "restore")
        words = "run 'xdpkit restore' there" if not killed else "if it was moved, run"
        assert words in line and len(journals(lab)) == 1
        # Here it is found without a name if the instance saw it leave.
        done = xdpkit(other, "restore", *(["server0"] if killed else []))
        assert "server0: undone: ethtool -K server0 rx-vlan-hw-parse on" in done
        assert offload(other.namespace, "server0") == "on" and journals(lab) == []
        assert xdpkit(other, "restore") == "nothing to undo\n"


def test_moved_and_served_there(lab: Lab, tmp_path: Path) -> None:
    with other_namespace(lab) as other:
        server = Server(lab.server, write_config(tmp_path, TAGGED))
        ip(lab.server, "link", "set", "dev", "server0", "netns", other.namespace)
        assert server.process.wait(PATIENCE) == 1
        ip(other, "link", "set", "dev", "server0", "up")
        ip(other, "addr", "add", "192.0.2.1/24", "dev", "server0")
        again = Server(other, server.path)
        try:
            assert "left by a crashed run, undone: ethtool -K server0" in again.log()
            assert look_up(lab.client) == [WWW]
            assert again.stop() == 0
        finally:
            again.kill()
        assert offload(other.namespace, "server0") == "on" and journals(lab) == []


def test_another_interface_with_its_address_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    """In another namespace the hardware address alone says nothing."""
    with other_namespace(lab) as other:
        server = Server(lab.server, write_config(tmp_path, TAGGED))
        server.kill()
        mac = lab.server.interface().mac.hex(":")
        ip(other, "link", "add", "server0", "address", mac, "type", "veth")
        assert xdpkit(other, "restore") == "nothing to undo\n"
        assert "undone: ethtool -K" in xdpkit(lab.server, "restore")
