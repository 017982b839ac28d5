"""The progress bar of a load: on a terminal only; and the time requested from systemd."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from xdpkit.services.dns.serving import load_progress
from xdpkit.services.dns.serving.batch import Progress
from xdpkit.services.dns.serving.load_progress import LoadProgress, describe_load

LOAD = """
import sys, time
from pathlib import Path
from xdpkit.services.dns.serving.load_progress import LoadProgress
from xdpkit.services.dns.serving.batch import Progress
with LoadProgress(Path("zones")) as progress:
    for part in range(1, 9):
        progress(Progress("big", part * 20000, part / 10))
        time.sleep(0.1)
    progress.finish("what was done", 2.0)
"""


def test_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", LOAD], stderr=theirs, env=environment) as child:
        os.close(theirs)
        shown = b""
        while part := read(ours):
            shown += part
    os.close(ours)
    assert child.returncode == 0
    assert b"zones in zones" in shown and b"records/s" in shown and b"%" in shown
    assert b"what was done" in shown


def read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # the other end is closed
        return b""


def test_no_bar_without_a_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize(
    "cached, compiled, seconds, words",
    [
        (1, 0, 0.25, "1 cached zone, 1,000 names in 0.2 s, 9 bytes"),
        (0, 2000, 0.25, "2,000 compiled zones, 1,000 names in 0.2 s, 9 bytes"),
        (3, 1, 2.0, "3 cached and 1 compiled zones, 1,000 names in 2.0 s (500 names/s), 9 bytes"),
    ],
)
def test_the_summary(cached: int, compiled: int, seconds: float, words: str) -> None:
    assert describe_load(1000, 9, seconds, cached, compiled) == words


def test_more_time_is_requested_from_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setattr(load_progress, "LONG_SECONDS", 0.0)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        with LoadProgress(tmp_path) as bar:
            load_progress.ProgressReporter(tmp_path, bar)(Progress("z", 20000, 0.1))
        assert manager.recv(100) == b"EXTEND_TIMEOUT_USEC=60000000"
        # A reload has no such limit.
        load_progress.ProgressReporter(tmp_path, None)(Progress("z", 20000, 0.1))
        manager.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.recv(100)
