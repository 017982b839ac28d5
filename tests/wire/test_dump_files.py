"""Where ``xdpkit dump`` writes, and how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from dumping import Dump, as_somebody, blast, tshark
from pcapng_file import packets
from serving import WWW, XDPKIT, Server, eventually, look_up

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


@pytest.fixture(autouse=True)
def served_queue(server: Server, lab: Lab) -> None:
    """All that the client sends arrives on the served queue."""
    lab.client.send_on_queue(2, 4)


def test_a_full_disk(lab: Lab, server: Server, tmp_path: Path) -> None:
    dump_file = tmp_path / "copied"
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=64k tmpfs {disk} && {XDPKIT} dump -w {disk}/q; "
        f"echo $?; cp {disk}/q {dump_file}"
    )
    begun = server.status()["captures"]["begun"]
    process = lab.server.popen(
        *("unshare", "-m", "sh", "-c", script), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    eventually(lambda: server.status()["captures"]["begun"] > begun, "a capture")
    blast(lab, "--count", "2000", "--rate", "5000")
    out, err = process.communicate(timeout=60)
    assert out == "1\n"
    assert err.startswith(f"xdpkit: {disk}/q: No space left on device: it ends with the last")
    assert err.count("\n") == 1
    eventually(lambda: server.status()["captures"]["running"] == [], "the end of a capture")
    # Whole packets only.
    assert len(packets(dump_file)) > 0


def test_files_of_a_size(lab: Lab, server: Server, tmp_path: Path) -> None:
    with Dump(server, tmp_path / "q", "--rotate", "64K") as dump:
        blast(lab, "--count", "1000", "--rate", "5000")
    files = [tmp_path / "q", *(tmp_path / f"q.{number}" for number in range(1, 9))]
    there = [path for path in files if path.exists()]
    assert len(there) > 2
    assert sum(len(packets(path)) for path in there) == 2 * dump.facts["captured"]
    assert all(path.stat().st_size <= 1.1 * 65536 for path in there)
    assert len(tshark(there[1], "ntp.flags")) == len(packets(there[1]))


def test_to_a_pipe_and_to_people(lab: Lab, server: Server) -> None:
    begun = server.status()["captures"]["begun"]
    piped = lab.server.popen(
        *("sh", "-c", f"{XDPKIT} dump -n 1 -w - | tshark -n -r - -T fields -e dns.qry.name"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown = lab.server.popen(
        *(XDPKIT, "dump", "-n", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    eventually(lambda: server.status()["captures"]["begun"] == begun + 2, "two captures")
    assert look_up(lab.client) == [WWW]
    assert piped.communicate(timeout=60)[0].split() == ["www.example", "www.example"]
    line, err = shown.communicate(timeout=60)
    assert err == "" and line.count("\n") == 1
    assert "dns" in line and " www.example. A " in line and " NOERROR " in line


def test_refusals(lab: Lab, server: Server) -> None:
    done = as_somebody(lab.server)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    done = lab.server.run(XDPKIT, "dump", "service frob")
    assert done.returncode == 2
    assert done.stderr.startswith('xdpkit: filter, column 9: "frob", expected a service')
    done = lab.server.run(XDPKIT, "dump", "-w", "/nonexistent/q")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    done = lab.server.run(XDPKIT, "dump", "--sample", "0")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_the_end_of_the_instance_is_the_captures(lab: Lab, server: Server, tmp_path: Path) -> None:
    """The last test here: nobody serves after it."""
    with Dump(server, tmp_path / "q") as dump:
        assert server.stop() == 0
        dump.finished()
    assert packets(tmp_path / "q") == []
    done = lab.server.run(XDPKIT, "dump")
    assert done.returncode == 1 and "nothing is served" in done.stderr
