"""A fault in a task of the instance, or in one connection, ends neither it nor the others."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from serving import CONFIG, PATIENCE, QUEUE, QUEUES, WWW, Server, eventually, look_up, write_config
from taking_over import HERE, ended
from task_fault import FAULT, UNITS

from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

METRICS = CONFIG + '[metrics]\nlisten = "127.0.0.1:9153"\n'
NEW = "192.0.2.77"


@pytest.mark.parametrize("unit", UNITS)
def test_a_task_that_fails(lab: Lab, tmp_path: Path, unit: str) -> None:
    lab.client.send_on_queue(QUEUE, QUEUES)
    program = (sys.executable, "-P", str(HERE / "task_fault.py"), unit)
    server = Server(lab.server, write_config(tmp_path, METRICS), program=program)
    with ended(server):
        eventually(lambda: faults(server, unit) == 2, "the faults")
        assert server.log().count(FAULT) == 1
        assert f"{unit}: a fault of xdpkit itself, please report it: KeyError" in server.log()
        # Every task does its work again.
        assert look_up(lab.client) == [WWW]
        eventually(lambda: reloads(server), "a reload")
        server.signal(signal.SIGHUP)
        eventually(lambda: "xdpkit: reloaded: " in server.log(), "SIGHUP")
        with lab.server.entered():
            text = urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE).read().decode()
        assert f'xdpkit_faults_total{{unit="{unit}"}} 2.0' in text
        add = ("ip", "address", "add", f"{NEW}/24", "dev", "server0")
        assert lab.server.run(*add).returncode == 0
        eventually(lambda: NEW in server.log(), "the address")
        assert look_up(lab.client, address=NEW) == [WWW]
        lab.server.run("ip", "address", "del", f"{NEW}/24", "dev", "server0")
        assert server.stop() == 0
        assert "Traceback" not in server.log()


def faults(server: Server, unit: str) -> int:
    try:
        return int(server.status()["faults"].get(unit, 0))
    except ControlError:
        return 0  # The connection ended with the task that answers.


def reloads(server: Server) -> bool:
    try:
        return "example" in server.request("reload")["zones"]
    except ControlError:
        return False  # Until its owner has been started again.
