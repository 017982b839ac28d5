"""A file that does not answer costs nothing but the reload that wants to read it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hung_fs import hung
from impatient import ANSWER_SECONDS, IDLE_SECONDS
from serving import (
    CONFIG,
    WWW,
    XDPKIT,
    ZONE,
    Server,
    eventually,
    look_up,
    reload,
    write_config,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# What a reload reads, below the directory of the test.
NAMED = {
    "configuration": "etc/xdpkit.toml",
    "keys": "keys/ntp.keys",
    "zones": "etc/zones/example.zone",
}

# Takes a second to compile: long enough to catch the compiler.
LONG_ZONE = ZONE.replace("hostmaster 1 ", "hostmaster 2 ") + "".join(
    f"h{i} A 192.0.2.7\n" for i in range(20_000)
)


@pytest.fixture
def server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ntp.keys").write_text("1 a-secret-without-blanks\n")
    (tmp_path / "keys" / "ntp.keys").chmod(0o600)
    config = CONFIG.replace("[ntp]", '[ntp]\nkeys = "../keys/ntp.keys"')
    config = config.replace("[dns]\n", '[dns]\ncache = ""\n')
    program = (sys.executable, "-P", str(Path(__file__).with_name("impatient.py")))
    server = Server(lab.server, write_config(tmp_path / "etc", config), program=program)
    try:
        # That of the start may be about to end.
        eventually(lambda: not compiler_of(server), "the first compiler's end")
        yield server
    finally:
        server.kill()


def refused(lab: Lab) -> str:
    """The one line with which a reload is refused."""
    done = reload(lab)
    assert done.returncode != 0, done.stdout
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("what", NAMED)
def test_a_fifo_is_refused_at_once(lab: Lab, server: Server, tmp_path: Path, what: str) -> None:
    path = tmp_path / NAMED[what]
    path.unlink()
    os.mkfifo(path)
    line = refused(lab)
    assert f"{path.name}: " in line and "it is a FIFO, not a regular file" in line
    assert look_up(lab.client) == [WWW]
    assert server.stop() == 0, server.log()


def test_an_included_fifo_is_refused_at_once(lab: Lab, server: Server, tmp_path: Path) -> None:
    zones = tmp_path / "etc" / "zones"
    os.mkfifo(zones / "part")
    (zones / "example.zone").write_text(ZONE + "$INCLUDE part\n")
    assert "part: it is a FIFO, not a regular file" in refused(lab)
    assert look_up(lab.client) == [WWW]
    assert server.stop() == 0, server.log()


@pytest.mark.parametrize("swallow", [False, True], ids=["killable", "uninterruptible"])
@pytest.mark.parametrize("what", NAMED)
def test_a_hung_file_system(
    lab: Lab, server: Server, tmp_path: Path, what: str, swallow: bool
) -> None:
    with hung((tmp_path / NAMED[what]).parent, server.process.pid, swallow):
        asked = lab.server.popen(XDPKIT, "reload", stderr=subprocess.PIPE)
        # Meanwhile everything else goes on: questions, and following addresses.
        assert server.status()["zones"]["example"]["serial"] == 1
        add = "ip addr add 192.0.2.78/24 dev server0"
        assert lab.server.run(*add.split()).returncode == 0
        server.wait_for_log("192.0.2.78")
        assert look_up(lab.client, address="192.0.2.78") == [WWW]
        assert lab.server.run(*add.replace("add ", "del ", 1).split()).returncode == 0
        assert asked.poll() is None
        _, said = asked.communicate(timeout=40)
        assert asked.returncode != 0
        [line] = said.splitlines()
        assert str(tmp_path) in line and f"did not answer within {ANSWER_SECONDS} s" in line
        threads = len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))
        # Never a second one that waits for the same.
        for _ in range(3):
            assert "still does not answer" in refused(lab)
        assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) <= threads
        assert look_up(lab.client) == [WWW]
        server.signal(signal.SIGTERM)
        server.wait_for_log("server0 is the kernel's again")
        if not swallow:
            assert server.process.wait(20) == 0, server.log()
    # What nothing can interrupt ends with the file system.
    assert server.process.wait(20) == 0, server.log()


def test_a_hung_file_system_that_comes_back(lab: Lab, server: Server, tmp_path: Path) -> None:
    zones = tmp_path / "etc" / "zones"
    with hung(zones, server.process.pid):
        server.wait_for_log(f"{zones}: it did not answer within {ANSWER_SECONDS} s")
        time.sleep(5)
    server.wait_for_log("answers again")
    assert server.log().count("answer within") == 1
    (zones / "example.zone").write_text(ZONE.replace("hostmaster 1 ", "hostmaster 2 "))
    eventually(lambda: server.status()["zones"]["example"]["serial"] == 2, "the zones")
    assert server.stop() == 0, server.log()


def compiler_of(server: Server) -> int:
    """The zone compiler that the instance runs, or 0."""
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        # Threads and children come and go.
        with suppress(FileNotFoundError, ProcessLookupError):
            for pid in (task / "children").read_text().split():
                if b"compiler.compile" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return int(pid)
    return 0


@pytest.mark.parametrize("swallow", [False, True], ids=["killable", "uninterruptible"])
def test_an_included_file_on_a_hung_file_system(
    lab: Lab, server: Server, tmp_path: Path, swallow: bool
) -> None:
    """It is the compiler's child that waits; one that cannot even be killed is left behind."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "part").write_text("more A 192.0.2.9\n")
    with hung(other, server.process.pid, swallow):
        zone = tmp_path / "etc" / "zones" / "example.zone"
        zone.write_text(ZONE.replace("hostmaster 1 ", "hostmaster 2 ") + f"$INCLUDE {other}/part\n")
        words = "the zone compiler made no progress for "
        eventually(lambda: words in server.log(), words, 90)
        assert look_up(lab.client) == [WWW]
        assert server.status()["zones"]["example"]["serial"] == 1
    eventually(lambda: server.status()["zones"]["example"]["serial"] == 2, "the change", 90)
    assert server.stop() == 0, server.log()


def test_the_end_while_the_compiler_cannot_be_killed(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with hung(other, server.process.pid, swallow=True):
        zone = tmp_path / "etc" / "zones" / "example.zone"
        zone.write_text(ZONE + f"$INCLUDE {other}/part\n")
        waiting = eventually(lambda: compiler_of(server), "the compiler")
        where = Path(f"/proc/{waiting}/wchan")
        eventually(lambda: "wait_answer" in where.read_text(), "it to wait for the file")
        assert server.stop() == 0, server.log()
        assert where.exists()


def test_a_stopped_compiler_is_replaced(lab: Lab, server: Server, tmp_path: Path) -> None:
    """By a reload, and what is served is served on."""
    path = tmp_path / "etc" / "zones" / "example.zone"
    path.write_text(LONG_ZONE)
    first = eventually(lambda: compiler_of(server), "the compiler")
    os.kill(first, signal.SIGSTOP)
    path.write_text(ZONE.replace("hostmaster 1 ", "hostmaster 3 "))
    assert server.status()["zones"]["example"]["serial"] == 1
    assert look_up(lab.client) == [WWW]
    done = reload(lab)
    assert done.returncode == 0, done.stderr
    assert server.status()["zones"]["example"]["serial"] == 3
    assert not Path(f"/proc/{first}").exists()
    assert server.log().count("the zone compiler made no progress for ") == 1
    assert "newer zones are to be read; another one is started" in server.log()
    assert server.stop() == 0, server.log()


def test_a_stopped_compiler_is_tried_again(server: Server, tmp_path: Path) -> None:
    """Without another change; and it is said once."""
    path = tmp_path / "etc" / "zones" / "example.zone"
    path.write_text(LONG_ZONE)
    first = eventually(lambda: compiler_of(server), "the compiler")
    os.kill(first, signal.SIGSTOP)
    # By another one, which may be gone before anybody sees it.
    eventually(lambda: server.status()["zones"]["example"]["serial"] == 2, "the change", 90)
    assert server.log().count(f"the zone compiler made no progress for {IDLE_SECONDS} s") == 1
    assert server.stop() == 0, server.log()


def test_a_stopped_compiler_is_replaced_by_a_change(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "etc" / "zones" / "example.zone"
    path.write_text(LONG_ZONE)
    asked = server.side.popen(XDPKIT, "reload", stderr=subprocess.PIPE)
    os.kill(eventually(lambda: compiler_of(server), "the compiler"), signal.SIGSTOP)
    path.write_text(ZONE.replace("hostmaster 1 ", "hostmaster 3 "))
    _, said = asked.communicate(timeout=60)
    # The one that was stopped had the zone in hand, or was waiting for its list.
    assert asked.returncode == 0 or "newer zones are to be read" in said
    assert "newer zones are to be read" in server.log() + said
    eventually(lambda: server.status()["zones"]["example"]["serial"] == 3, "the change")
    assert server.stop() == 0, server.log()
