"""Other people's programs: where the tests find them and how they run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from serving import PATIENCE, eventually

from xdpkit.lab import Side

# vagrant/provision.sh unpacks it there: installed, it would start a service.
UNPACKED = Path(__file__).parents[2] / ".cache/peers/chrony/usr/sbin/chronyd"


def chronyd() -> str:
    """The path of chronyd; without one CI fails and others skip."""
    found = shutil.which("chronyd") or (str(UNPACKED) if UNPACKED.exists() else None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("no chronyd: vagrant/provision.sh test unpacks it")
    return found


def chronyd_command(directory: Path, *directives: str, options: tuple[str, ...] = ()) -> list[str]:
    """chronyd in the foreground, hands off the clock, without any file but a PID file of ours."""
    own = (f"pidfile {directory}/chronyd.pid", "cmdport 0", "bindcmdaddress /")
    return [chronyd(), "-x", "-u", "root", *options, *own, *directives]


def measured_offset(side: Side, directory: Path, *directives: str, limit: int = 20) -> float | None:
    """One ``chronyd -Q``: the offset it measured, in seconds, or None when it heard nothing."""
    options = ("-Q", "-t", str(limit))
    done = side.run(*chronyd_command(directory, *directives, options=options))
    found = re.search(r"System clock wrong by (-?[0-9.]+) seconds", done.stderr)
    assert (done.returncode == 0) == (found is not None), done.stderr
    return float(found[1]) if found else None


@contextmanager
def chronyd_server(side: Side, directory: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A chronyd that serves its clock at stratum 8 on port 123, with ``more`` directives."""
    directives = ("local stratum 8", "allow", "port 123", *more)
    command = chronyd_command(directory, *directives, options=("-d",))
    log = directory / "chronyd.log"
    with log.open("w") as output:
        process = side.popen(*command, stdout=output, stderr=output)
    try:
        # Its line comes after the sockets are bound.
        eventually(
            lambda: process.poll() is not None or "Disabled control" in log.read_text(), "chronyd"
        )
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)
