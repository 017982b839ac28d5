"""What must not end a server: its own limits, signals at odd times, its interface going away."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

import pytest
from payloads import ntp, query
from serving import CONFIG, PATIENCE, XDPKIT, ZONE, Server, eventually, serving, write_config
from wire import Wire

from xdpkit.lab import Lab

pytestmark = pytest.mark.netns


@contextmanager
def starting(lab: Lab, directory: Path, path: Path, *before: str) -> Iterator[Popen[str]]:
    """``xdpkit run`` as it starts, its words in "log"; killed if the test did not end it."""
    with (directory / "log").open("w") as log:
        process = lab.server.popen(*before, XDPKIT, "run", "-c", str(path), stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def says(directory: Path, words: str) -> None:
    """Waits for the server's words."""
    eventually(lambda: words in (directory / "log").read_text(), words)


@pytest.fixture
def own(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to be hurt."""
    with serving(lab, tmp_path, CONFIG) as server:
        yield server


def test_a_reload_without_descriptors_keeps_the_old_zones(own: Server, lab: Lab) -> None:
    pid = own.process.pid
    # Zones that are as they were are not read again.
    write_config(own.path.parent, CONFIG, ZONE + "more A 192.0.2.1\n")
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    own.signal(signal.SIGHUP)
    eventually(lambda: "the old stays in use" in own.log(), "the refusal")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    dug = lab.client.run("dig", "+short", "+tries=1", "@192.0.2.1", "www.example", "A")
    assert dug.stdout.strip()
    assert own.request("reload")["zones"]["example"]["names"]


def many_names(directory: Path) -> Path:
    """A configuration whose zone takes a while to compile."""
    hosts = "".join(f"host{number} A 192.0.2.7\n" for number in range(20_000))
    return write_config(directory, CONFIG, ZONE + hosts)


def test_sighup_while_starting(lab: Lab, tmp_path: Path) -> None:
    """The documented way to reload must not end a server that is still reading its zones."""
    with starting(lab, tmp_path, many_names(tmp_path)) as process:
        # Its handler is there once SigCgt has the bit (proc(5)); before, Python has not begun.
        about = Path(f"/proc/{process.pid}/status")

        def handled() -> bool:
            [line] = [line for line in about.read_text().splitlines() if line.startswith("SigCgt:")]
            return bool(int(line.split()[1], 16) >> signal.SIGHUP - 1 & 1)

        eventually(handled, "the handler")
        process.send_signal(signal.SIGHUP)
        says(tmp_path, "stop with SIGTERM")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_sigterm_while_starting_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    with starting(lab, tmp_path, many_names(tmp_path)) as process:
        time.sleep(0.4)
        process.terminate()
        process.wait(PATIENCE)
    assert lab.server.interface().xdp_program is None


def test_a_paused_process_gets_its_queue_back(own: Server, lab: Lab) -> None:
    wire = Wire(lab)
    request = wire.frame(4, "dns", query("www.example"))
    for _ in range(2):
        own.signal(signal.SIGSTOP)
        # Above the interval at which heartbeats are looked at.
        time.sleep(3.2)
        own.signal(signal.SIGCONT)
        eventually(lambda: not own.status()["queues"]["2"]["detached"], "the queue")
    assert len(wire.exchange(own, request, ("redirected",), replies=1).replies) == 1
    wire.close()


@pytest.mark.parametrize("name", ["/nonexistent/notify", "@xdpkit-nobody"])
def test_a_stale_notify_socket(lab: Lab, tmp_path: Path, name: str) -> None:
    path = write_config(tmp_path)
    with starting(lab, tmp_path, path, "env", f"NOTIFY_SOCKET={name}") as process:
        says(tmp_path, "stop with SIGTERM")
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_the_interface_goes_away(tmp_path: Path) -> None:
    """Nothing can be served on it any more: the server says so and ends, for systemd to see."""
    with Lab() as lab, starting(lab, tmp_path, write_config(tmp_path)) as process:
        says(tmp_path, "stop with SIGTERM")
        assert lab.server.run("ip", "link", "delete", "server0").returncode == 0
        assert process.wait(PATIENCE) == 1
        says(tmp_path, "server0 is gone")


@pytest.mark.parametrize("queue", [1, 2])
def test_our_own_address_forged_on_the_wire(
    server: Server, wire: Wire, lab: Lab, queue: int
) -> None:
    """By neither door; a local client, whose address it is, is answered."""
    wire.use_queue(queue)
    before = server.verdicts()["ntp_answered"]
    for family, own in ((4, lab.server.ipv4), (6, lab.server.ipv6)):
        forged = wire.frame(family, "ntp", ntp(), ip={"src": own})
        assert wire.exchange(server, forged).replies == []
    assert server.verdicts()["ntp_answered"] == before
    wire.use_queue(2)
    for address in (lab.server.ipv4, lab.server.ipv6):
        dug = lab.server.run("dig", "+short", "+tries=1", f"@{address}", "www.example", "A")
        assert dug.stdout.strip()
