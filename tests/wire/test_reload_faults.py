"""A fault at every step of a reload: what was served before is served after."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from reload_fault import AFTER, BEFORE, ERRORS, FAULT
from serving import CONFIG, QUEUE, QUEUES, WWW, ZONE, Server, eventually, look_up, write_config
from taking_over import HERE

from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

STEPS = [*BEFORE, *AFTER]
serial = itertools.count(1)


@pytest.fixture(scope="module")
def fault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that says which fault is next."""
    return tmp_path_factory.mktemp("fault") / "fault"


@pytest.fixture(scope="module")
def faulty(lab: Lab, directory: Path, fault: Path) -> Iterator[Server]:
    """A server whose reloads fail where that file says."""
    lab.client.send_on_queue(QUEUE, QUEUES)
    program = (sys.executable, "-P", str(HERE / "reload_fault.py"), str(fault))
    server = Server(lab.server, write_config(directory), program=program)
    try:
        yield server
        assert server.stop() == 0, server.log()
        assert "Traceback" not in server.log()
    finally:
        server.kill()


def change(server: Server) -> str:
    """Gives www a new address, and the server a new name; returns the address."""
    number = next(serial)
    zone = ZONE.replace(WWW, f"192.0.2.{number}")
    config = CONFIG.replace('nsid = "lab"', f'nsid = "lab{number}"')
    write_config(server.path.parent, config, zone)
    return f"192.0.2.{number}"


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails(lab: Lab, faulty: Server, fault: Path, step: str, error: str) -> None:
    [before] = look_up(lab.client)
    ours = change(faulty)
    fault.write_text(f"{step} {error}")
    with pytest.raises(ControlError, match=FAULT):
        faulty.request("reload")
    # Nothing of it, or all of it.
    assert look_up(lab.client) == [before if step in BEFORE else ours]
    assert faulty.status()["queues"][str(QUEUE)]["tx"] > 0
    last = change(faulty)
    assert faulty.request("reload")["zones"]["example"]
    assert look_up(lab.client) == [last]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("step", ["load", "publish", "commit3", "grace"])
def test_a_step_that_fails_by_signal(
    lab: Lab, faulty: Server, fault: Path, step: str, error: str
) -> None:
    """It is in the log, once for each time."""
    [before] = look_up(lab.client)
    ours, said = change(faulty), faulty.log().count(FAULT)
    fault.write_text(f"{step} {error}")
    faulty.signal(signal.SIGHUP)
    eventually(lambda: faulty.log().count(FAULT) > said, "the log")
    eventually(
        lambda: look_up(lab.client) == [before if step in BEFORE else ours], "what is served"
    )
    last = change(faulty)
    faulty.request("reload")
    assert look_up(lab.client) == [last]


def test_faults_are_counted_and_leave_nothing_open(faulty: Server, fault: Path) -> None:
    descriptors = Path(f"/proc/{faulty.status()['pid']}/fd")
    change(faulty)
    faulty.request("reload")
    before, faults = len(list(descriptors.iterdir())), faulty.status()["faults"]["reload"]
    said = faulty.log().count("a fault of xdpkit itself")
    for _ in range(5):
        change(faulty)
        fault.write_text("publish KeyError")
        with pytest.raises(ControlError, match=FAULT):
            faulty.request("reload")
    assert faulty.status()["faults"]["reload"] == faults + 5
    assert faulty.log().count("a fault of xdpkit itself") == said
    eventually(lambda: len(list(descriptors.iterdir())) <= before, "all to be closed")
