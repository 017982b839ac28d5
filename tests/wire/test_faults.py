"""Faults a server must handle: its own limits, ill-timed signals, its interface disappearing."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from payloads import ntp, query
from serving import (
    CONFIG,
    PATIENCE,
    WWW,
    ZONE,
    Server,
    eventually,
    look_up,
    serving,
    starting,
    write_config,
)
from wire import Wire

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns


@pytest.fixture
def own_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A separate server for one test, to do harm to."""
    with serving(lab, tmp_path, CONFIG) as server:
        yield server


def test_a_reload_without_descriptors_keeps_the_old_zones(own_server: Server, lab: Lab) -> None:
    pid = own_server.process.pid
    # Unchanged zones are not read again.
    write_config(own_server.path.parent, CONFIG, ZONE + "more A 192.0.2.1\n")
    used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, limits[1]))
    own_server.signal(signal.SIGHUP)
    eventually(lambda: "the old stays in use" in own_server.log(), "the refusal")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert look_up(lab.client) == [WWW]
    assert own_server.request("reload")["zones"]["example"]["names"]


def many_names(directory: Path) -> Path:
    """A configuration whose zone takes a while to compile."""
    hosts = "".join(f"host{number} A 192.0.2.7\n" for number in range(20_000))
    return write_config(directory, CONFIG, ZONE + hosts)


def test_sighup_while_starting(lab: Lab, tmp_path: Path) -> None:
    """The documented way to reload must not kill a server that is still reading its zones."""
    with starting(lab.server, many_names(tmp_path)) as started:
        # The handler is installed once SigCgt has the bit (proc(5)); before, Python is starting.
        status = Path(f"/proc/{started.process.pid}/status")

        def handled() -> bool:
            [line] = [
                line for line in status.read_text().splitlines() if line.startswith("SigCgt:")
            ]
            return bool(int(line.split()[1], 16) >> signal.SIGHUP - 1 & 1)

        eventually(handled, "the handler")
        started.signal(signal.SIGHUP)
        started.wait_for_log("stop with SIGTERM")
        assert started.stop() == 0


def test_sigterm_while_starting_leaves_nothing(lab: Lab, tmp_path: Path) -> None:
    with starting(lab.server, many_names(tmp_path)) as started:
        time.sleep(0.4)
        started.stop()
    assert lab.server.interface().xdp_program is None


def test_a_paused_process_gets_its_queue_back(own_server: Server, lab: Lab) -> None:
    wire = Wire(lab)
    request = wire.frame(4, "dns", query("www.example"))
    for _ in range(2):
        own_server.signal(signal.SIGSTOP)
        # Longer than the watchdog's interval.
        time.sleep(3.2)
        own_server.signal(signal.SIGCONT)
        eventually(lambda: not own_server.status()["queues"]["2"]["detached"], "the queue")
    assert len(wire.exchange(own_server, request, ("redirected",), replies=1).replies) == 1
    wire.close()


@pytest.mark.parametrize("name", ["/nonexistent/notify", "@xdpkit-nobody"])
def test_a_stale_notify_socket(lab: Lab, tmp_path: Path, name: str) -> None:
    before = ("env", f"NOTIFY_SOCKET={name}")
    with starting(lab.server, write_config(tmp_path), before) as started:
        started.wait_for_log("stop with SIGTERM")
        assert started.stop() == 0


def test_the_interface_goes_away(tmp_path: Path) -> None:
    """Nothing can be served on it anymore: the server logs that and exits, for systemd to see."""
    with Lab() as lab, starting(lab.server, write_config(tmp_path)) as started:
        started.wait_for_log("stop with SIGTERM")
        assert lab.server.run("ip", "link", "delete", "server0").returncode == 0
        assert started.process.wait(PATIENCE) == 1
        assert "server0 is gone" in started.log()


@pytest.mark.parametrize("queue", [1, 2])
def test_our_own_address_forged_on_the_wire(
    server: Server, wire: Wire, lab: Lab, queue: int
) -> None:
    """Neither way in answers it; a local client, whose address it is, gets an answer."""
    wire.use_queue(queue)
    before = server.verdicts()["ntp_answered"]
    for family, address in ((4, lab.server.ipv4), (6, lab.server.ipv6)):
        forged = wire.frame(family, "ntp", ntp(), ip={"src": address})
        assert wire.exchange(server, forged).replies == []
    assert server.verdicts()["ntp_answered"] == before
    wire.use_queue(2)
    for address in (lab.server.ipv4, lab.server.ipv6):
        assert look_up(lab.server, address=address) == [WWW]
