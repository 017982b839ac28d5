"""A fault in every stage of a start and of its undoing: afterwards all is as it was before."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import CONFIG, Started, attached, write_config
from stage_fault import FAULT

from xdpkit.instance import opening
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

STAGES = [name for name, found in vars(opening).items() if inspect.isasyncgenfunction(found)]

# With changes to the NIC, and every part that a stage opens.
EVERYTHING = (
    CONFIG.replace("queues = [2]", 'queues = [2]\npoll = "busy"\ndefer_irqs = true')
    + '[metrics]\nlisten = "127.0.0.1:9153"\n'
)


@pytest.fixture(scope="module")
def quiet() -> Iterator[Lab]:
    """A lab that serves nothing but what a test starts."""
    with Lab() as lab:
        yield lab


def state(lab: Lab) -> dict[str, object]:
    """What a server changes on its machine, and must leave as it was."""

    def shown(*argv: str) -> object:
        return lab.server.run(*argv).stdout

    ifname = lab.server.ifname
    settings = ("gro_flush_timeout", "napi_defer_hard_irqs", "threaded")
    return {
        "program": attached(lab.server),
        "sockets": shown("ss", "-Hlnatux"),
        "addresses": [
            entry["local"]
            for link in json.loads(str(shown("ip", "-j", "address")))
            for entry in link["addr_info"]
        ],
        "settings": [shown("cat", f"/sys/class/net/{ifname}/{name}") for name in settings],
        "features": shown("ethtool", "-k", ifname),
        "rules": shown("ethtool", "-n", ifname),
        "journal": [str(path) for path in Path("/run/xdpkit").glob(f"*{ifname}*")],
    }


def run_with_fault(lab: Lab, path: Path, when: str, stage: str) -> Started:
    script = str(Path(__file__).with_name("stage_fault.py"))
    return Started(lab.server, path, program=(sys.executable, "-P", script, when, stage))


def test_the_stages_are_those_of_a_start() -> None:
    source = inspect.getsource(__import__("xdpkit.instance.server", fromlist=["Server"]).Server)
    opened = [
        line.split("opening.")[1].split("(")[0]
        for line in source.splitlines()
        if "opening." in line
    ]
    assert opened == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_does_not_open(quiet: Lab, tmp_path: Path, stage: str) -> None:
    before = state(quiet)
    started = run_with_fault(quiet, write_config(tmp_path, EVERYTHING), "open", stage)
    try:
        assert started.process.wait(60) == 1
    finally:
        started.kill()
    assert started.log().splitlines()[-1] == f"xdpkit: {FAULT}"
    assert started.log().count(FAULT) == 1
    assert "task left" not in started.log() and "Traceback" not in started.log()
    assert state(quiet) == before


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_does_not_close(quiet: Lab, tmp_path: Path, stage: str) -> None:
    before = state(quiet)
    started = run_with_fault(quiet, write_config(tmp_path, EVERYTHING), "close", stage)
    try:
        started.wait_for_log("stop with SIGTERM")
        assert state(quiet) != before
        assert started.stop() == 1
    finally:
        started.kill()
    name = stage.replace("_", " ")
    line = f"xdpkit: {name} could not be closed: {FAULT}; the rest is undone"
    assert started.log().splitlines().count(line) == 1
    assert started.log().count(FAULT) == 1
    assert "task left" not in started.log() and "Traceback" not in started.log()
    assert state(quiet) == before


def test_no_task_is_left_after_a_stop(quiet: Lab, tmp_path: Path) -> None:
    started = run_with_fault(quiet, write_config(tmp_path, EVERYTHING), "no", "fault")
    try:
        started.wait_for_log("stop with SIGTERM")
        assert started.stop() == 0
    finally:
        started.kill()
    assert "task left" not in started.log()
