"""The lab disappears with the process that made it, however that ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from serving import eventually, ping

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

NAMESPACES = Path("/run/netns")

MAKER = """
import os, sys, time
from xdpkit.lab.namespaces import Lab
with Lab() as lab:
    inside = lab.server.popen("sleep", "1000")
    print(lab.server.namespace, lab.client.namespace, inside.pid, flush=True)
    exec(sys.argv[1])
"""


def existing(lab: Lab) -> set[str]:
    """The lab's namespaces that exist."""
    names = {path.name for path in NAMESPACES.glob("*")}
    return names & {lab.server.namespace, lab.client.namespace}


def alive(pid: int) -> bool:
    """True while the process is running: the reaper's kill leaves no zombie for long."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_normal_end() -> None:
    with Lab() as lab:
        assert len(existing(lab)) == 2
        ping(lab)
        inside = lab.client.popen("sleep", "1000")
    assert existing(lab) == set()
    assert inside.wait(20) != 0
    lab.close()


def test_exception() -> None:
    lab = Lab()
    with pytest.raises(ZeroDivisionError), lab:  # noqa: PT012
        inside = lab.server.popen("sleep", "1000")
        raise ZeroDivisionError
    assert existing(lab) == set()
    assert inside.wait(20) != 0


def test_two_labs_do_not_meet() -> None:
    with Lab() as one, Lab() as two:
        assert existing(one).isdisjoint(existing(two))
        ping(one)
        ping(two)
        one.close()
        assert existing(one) == set()
        ping(two)
    assert existing(two) == set()


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), 9)", "os._exit(3)", "sys.exit(3)", "os.kill(os.getpid(), 15)"],
    ids=["kill", "_exit", "exit", "term"],
)
def test_end_of_the_process(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MAKER, end], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    server, client, pid = done.stdout.split()
    for name in (server, client):
        eventually(lambda n=name: not (NAMESPACES / n).exists(), f"{name} to go")
    eventually(lambda: not alive(int(pid)), "the program inside to end")


def test_the_machines_own_interfaces_are_not_touched() -> None:
    def interfaces() -> str:
        command = ["ip", "-o", "addr"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    before = interfaces()
    with Lab() as lab:
        assert interfaces() == before
        assert lab.server.ifname not in before
    assert interfaces() == before
