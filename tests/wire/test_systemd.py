"""The unit under a real systemd: started, reloaded, killed, stopped, and as another user."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from systemd_box import SystemdBox, until


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdBox]:
    directory: Path = tmp_path_factory.mktemp("systemd") / "box"
    directory.mkdir()
    with SystemdBox(directory) as booted:
        yield booted


@pytest.fixture
def started(box: SystemdBox) -> Iterator[SystemdBox]:
    box.drop_in("")
    box.run("systemctl", "restart", "xdpkit")
    yield box
    box.run("systemctl", "stop", "xdpkit")
    box.run("systemctl", "reset-failed", "xdpkit", status=None)


def answers(box: SystemdBox) -> bool:
    ask = ("dig", "+short", "+time=1", "+tries=1", "@192.0.2.1", "www.example", "A")
    return "192.0.2.80" in box.run("ip", "netns", "exec", "client", *ask, status=None)


def program(box: SystemdBox) -> bool:
    [link] = json.loads(box.run("ip", "-j", "link", "show", "dev", "eth1"))
    return "xdp" in link


def is_replaced(box: SystemdBox, before: str) -> bool:
    """Whether another process than this PID serves."""
    is_another = box.property("MainPID") not in ("0", before)
    return is_another and box.property("ActiveState") == "active"


def test_it_serves_once_it_is_started(started: SystemdBox) -> None:
    assert started.property("ActiveState") == "active"
    assert program(started) and answers(started)
    assert "slow path UDP" in started.run("xdpkit", "status")


def test_reload_fails_with_every_error_and_the_old_is_served(started: SystemdBox) -> None:
    config = started.run("cat", "/etc/xdpkit/xdpkit.toml")
    started.write("/etc/xdpkit/xdpkit.toml", config + "cookes = true\nmax_udp = 1\n")
    started.run("systemctl", "reload", "xdpkit", status=1)
    started.write("/etc/xdpkit/xdpkit.toml", config)
    log = started.journal()
    assert "cookes" in log and "max_udp: 1 is not within" in log
    assert answers(started)
    started.run("systemctl", "reload", "xdpkit")


def test_a_stopped_process_is_replaced(started: SystemdBox) -> None:
    before = started.property("MainPID")
    started.run("kill", "-STOP", before)
    until(lambda: is_replaced(started, before), "systemd's watchdog replaces it")
    assert answers(started)


def test_a_killed_process_is_replaced_and_the_nic_restored(started: SystemdBox) -> None:
    before = started.property("MainPID")
    started.run("kill", "-KILL", before)
    until(lambda: is_replaced(started, before), "systemd restarts it")
    assert answers(started)
    started.run("systemctl", "stop", "xdpkit")
    assert not program(started)
    assert started.run("ls", "/run/xdpkit").split() == []


@pytest.fixture
def as_xdpkit(box: SystemdBox) -> Iterator[SystemdBox]:
    """Started as the user that docs/service.md names."""
    box.run("useradd", "--system", "--no-create-home", "xdpkit", status=None)
    box.drop_in("User=xdpkit")
    box.run("systemctl", "restart", "xdpkit")
    yield box
    box.run("systemctl", "stop", "xdpkit")
    box.drop_in("")


def test_as_another_user(as_xdpkit: SystemdBox) -> None:
    assert answers(as_xdpkit)
    as_xdpkit.run("systemctl", "reload", "xdpkit")
    as_xdpkit.run("systemctl", "stop", "xdpkit")
    assert not program(as_xdpkit)


FORGE = """
import json, socket
from xdpkit.nic.setup import journal
from xdpkit.nic.setup.device import Device
path = journal.path_of("eth1")
head = journal.Owner.me("eth1", Device("eth1").identity())
step = {"step": 0, "setting": "../../../../etc/forged", "old": "by root", "new": 0}
lines = [{"version": 1, **vars(head), "pid": 1, "started": 1}, step]
path.write_text("".join(json.dumps(line) + "\\n" for line in lines))
path.chmod(0o600)
"""


def test_root_writes_no_file_that_a_forged_journal_names(as_xdpkit: SystemdBox) -> None:
    as_xdpkit.run("touch", "/etc/forged")
    python = Path(sys.executable)
    as_xdpkit.run("setpriv", "--reuid=xdpkit", str(python), "-P", "-c", FORGE)
    as_xdpkit.run("kill", "-KILL", as_xdpkit.property("MainPID"))
    until(lambda: "line 2" in as_xdpkit.journal() or ":2:" in as_xdpkit.journal(), "it is refused")
    assert as_xdpkit.run("cat", "/etc/forged") == ""
    assert "Traceback" not in as_xdpkit.journal()
    as_xdpkit.run("sh", "-c", "rm /run/xdpkit/*.journal")
