"""What file names and file texts say reaches no terminal and no log as it is."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from serving import PATIENCE, XDPKIT, Server, eventually, serving

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# Clears a screen, sets a window's title, ends a line, turns text around; and no UTF-8.
NASTY = b"\x1b[2J\x1b]0;owned\x07 \nxdpkit: stopped\r\xe2\x80\xae\xff"
LINES = b"@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"


def harmless(output: bytes) -> str:
    """The text of an output whose lines are all printable."""
    text = output.decode()
    assert all(line.isprintable() for line in text.split("\n")), repr(text)
    return text


def run(lab: Lab, *argv: str) -> subprocess.CompletedProcess[bytes]:
    command = lab.server.command(XDPKIT, *argv)
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def plant(directory: Path, what: str) -> None:
    """A zone whose file's name is nasty, or whose text, in each place that an error repeats."""
    zones = directory / "zones"
    if what == "name":
        (zones / (b"evil" + NASTY + b".zone").decode(errors="surrogateescape")).write_bytes(
            b"$ORIGIN evil.\n$TTL 60\n" + LINES
        )
    elif what == "origin":
        (zones / "evil.zone").write_bytes(b'$ORIGIN "' + NASTY + b'".\n' + LINES)
    elif what == "record":
        (zones / "evil.zone").write_bytes(
            b"$ORIGIN evil.\n$TTL 60\n" + LINES + b"www A 1.2" + NASTY + b"\n"
        )
    elif what == "include":
        (zones / "evil.zone").write_bytes(
            b"$ORIGIN evil.\n$TTL 60\n" + LINES + b"$INCLUDE nowhere" + NASTY + b"\n"
        )
    elif what == "key":
        path = directory / "xdpkit.toml"
        path.write_text(path.read_text().replace("[ntp]", '[ntp]\nrefid = "\\u001b[2Jx\\n"'))


def logged(server: Server) -> bytes:
    return server.path.with_suffix(".log").read_bytes()


@pytest.mark.parametrize("what", ["name", "origin", "record", "include", "key"])
def test_nothing_nasty_gets_out(lab: Lab, tmp_path: Path, what: str) -> None:
    with serving(lab, tmp_path) as server:
        harmless(logged(server))
        before = len(logged(server))
        plant(tmp_path, what)
        check = run(lab, "check", "-c", str(server.path))
        reload = run(lab, "reload")
        for done in (check, reload):
            harmless(done.stdout)
            harmless(done.stderr)
            assert b"Traceback" not in done.stderr
            # The name of a file alone is no error.
            assert done.returncode != 0 or what == "name", done.stdout
        server.signal(signal.SIGHUP)
        eventually(lambda: len(logged(server)) > before, "a line in the log")
        words = {"name": b"reloaded: ", "key": b"stays in use"}.get(what, b"with SERVFAIL")
        eventually(lambda: words in logged(server), "the reload")
        assert harmless(logged(server)).count("\nxdpkit: stopped") == 0
        for argv in (("status",), ("status", "--json")):
            done = run(lab, *argv)
            # Healthy, or degraded by what is wrong.
            assert done.returncode in (0, 3)
            harmless(done.stdout)
    harmless(logged(server))
