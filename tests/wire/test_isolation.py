"""What others can write around a program that runs as root is never run by it, nor its children."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from serving import CONFIG, XDPKIT, ZONE, Server, eventually, reload, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

MODULES = "anyio asyncio bcc ctypes dns json pyroute2 re rich runpy sitecustomize socket xdpkit"
PROGRAMS = "dig ethtool ip ping python3 sh taskset tc unshare"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A directory that others can write, with modules and programs that leave a mark."""
    directory = tmp_path / "trap"
    directory.mkdir()
    directory.chmod(0o777)
    for name in MODULES.split():
        text = f"import os; os.close(os.open('{tmp_path}/{name}.py.ran', os.O_CREAT))\n"
        (directory / f"{name}.py").write_text(text)
    for name in PROGRAMS.split():
        path = directory / name
        path.write_text(f"#!/bin/sh\n: > {tmp_path}/{name}.ran\nexit 1\n")
        path.chmod(0o755)
    (directory / "start").write_text((directory / "re.py").read_text())
    (directory / "stdio.h").write_text("#error this header is not the system's\n")
    return directory


def command(trap: Path) -> Sequence[str]:
    """``xdpkit`` there, with every variable that leads there."""
    names = ("PYTHONPATH", "PYTHONHOME", "CPATH", "C_INCLUDE_PATH", "LD_LIBRARY_PATH")
    variables = [f"{name}={trap}" for name in names]
    variables += [f"PYTHONSTARTUP={trap}/start", f"PATH={trap}:.:/usr/sbin:/usr/bin:/sbin:/bin"]
    # -I: what starts the program is not part of the test.
    return (
        "/usr/bin/env",
        "-u",
        "PYTHONSAFEPATH",
        "-C",
        str(trap),
        *variables,
        sys.executable,
        "-I",
        XDPKIT,
    )


def caught(trap: Path) -> list[str]:
    return [path.name for path in trap.parent.glob("*.ran")]


def test_the_trap_works(lab: Lab, trap: Path) -> None:
    before = ("env", "-u", "PYTHONSAFEPATH", "-C", str(trap))
    done = lab.server.run(*before, sys.executable, "-c", "import bcc")
    assert done.returncode == 0 and caught(trap) == ["bcc.py.ran"]


@pytest.mark.parametrize(
    "arguments",
    [
        "check -c CONFIG",
        "plan -c CONFIG",
        "doctor server0",
        "restore",
        "query www.example A -c CONFIG",
        "bench --help",
    ],
)
def test_a_verb(lab: Lab, tmp_path: Path, trap: Path, arguments: str) -> None:
    path = write_config(tmp_path / "etc", CONFIG.replace("[dns]\n", '[dns]\ncache = ""\n'))
    words = arguments.replace("CONFIG", str(path)).split()
    done = lab.server.run(*command(trap), *words)
    assert "Traceback" not in done.stderr
    # What doctor finds on a veth pair is nothing that prevents serving.
    assert done.returncode == 0, done.stderr
    assert caught(trap) == []


def test_run_status_and_reload(lab: Lab, tmp_path: Path, trap: Path) -> None:
    path = write_config(tmp_path / "etc", CONFIG.replace("[dns]\n", '[dns]\ncache = ""\n'))
    server = Server(lab.server, path, program=(*command(trap), "run"))
    try:
        assert lab.server.run(*command(trap), "status").returncode == 0
        zone = path.parent / "zones" / "example.zone"
        zone.write_text(ZONE.replace("hostmaster 1 ", "hostmaster 2 "))
        assert reload(lab).returncode == 0
        eventually(lambda: server.status()["zones"]["example"]["serial"] == 2, "the zones")
        assert server.stop() == 0, server.log()
    finally:
        server.kill()
    assert caught(trap) == []


def test_the_demo(lab: Lab, trap: Path) -> None:
    done = lab.server.run(*command(trap), "demo", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert caught(trap) == []
