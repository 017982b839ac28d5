"""A takeover beside other things: metrics, another user, many addresses, a reload, a signal."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest
from intruder import frozen, needs_x86
from serving import CONFIG, PATIENCE, QUEUE, Server, attached, eventually, serving, write_config
from steady import SteadyClient
from taking_over import (
    HERE,
    SILENCE,
    as_server,
    check_the_ring_answers,
    ended,
    fake_successor,
    faulty_successor,
    wait_until_kept,
    wait_until_stopped,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

METRICS = CONFIG + '[metrics]\nlisten = "127.0.0.1:9153"\n'


def scrape(lab: Lab) -> str:
    with lab.server.entered():
        return urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE).read().decode()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_metrics_are_taken_over(lab: Lab, tmp_path: Path, family: str) -> None:
    address = getattr(lab.server, family)
    with serving(lab, tmp_path, METRICS) as server, SteadyClient(lab, address=address) as client:
        client.wait_for_more()
        assert "xdpkit_up_seconds" in scrape(lab)
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
            successor.wait_for_log("stop with SIGTERM")
            eventually(lambda: "xdpkit_up_seconds" in scrape(lab), "metrics")
            check_the_ring_answers(as_server(successor, server), client)
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


def test_many_addresses_are_taken_over(lab: Lab, tmp_path: Path) -> None:
    """More sockets than one message has room for descriptors, of both families."""
    many = [f"192.0.2.{host}" for host in range(10, 160)]
    many += [f"2001:db8::1:{host:x}" for host in range(10, 160)]
    config = CONFIG.replace("queues", f"addresses = {[lab.server.ipv4, *many]}\nqueues")
    with serving(lab, tmp_path, config) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        assert len(sockets_of(server)) > 700
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
            successor.wait_for_log("stop with SIGTERM")
            check_the_ring_answers(as_server(successor, server), client)
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


def sockets_of(server: Server) -> list[str]:
    directory = Path(f"/proc/{server.status()['pid']}/fd")
    return [str(path) for path in directory.iterdir() if "socket" in str(path.readlink())]


def test_a_stopped_successor_that_may_not_be_killed(lab: Lab, tmp_path: Path) -> None:
    """The slow path answers, however long it is stopped."""
    program = (sys.executable, "-P", str(HERE / "may_not_kill.py"))
    server = Server(lab.server, write_config(tmp_path), program=program)
    with ended(server), SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, "rings", "SIGSTOP") as successor:
            wait_until_stopped(successor.process)
            words = "could not be killed: kill it, or let it continue"
            eventually(lambda: words in server.log(), "the log", 2 * PATIENCE)
            client.wait_for_more()
            assert "does not serve" in server.status()["takeover"]["state"]
            successor.signal(signal.SIGCONT)
            assert server.process.wait(PATIENCE) == 0, server.log()
            successor.wait_for_log("stop with SIGTERM")
            check_the_ring_answers(as_server(successor, server), client)
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


@needs_x86
def test_a_worker_that_parks_late_is_started_again(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        worker = server.status()["queues"][str(QUEUE)]["thread"]
        with frozen(worker):
            with faulty_successor(server, "", "SIGCONT") as successor:
                assert successor.process.wait(PATIENCE) == 1
                words = f"not taken over: the worker of queue {QUEUE} is stalled"
                assert words in successor.log()
            wait_until_kept(server, 1)
            # Not only what comes after nine seconds, as of any worker that hangs.
            assert server.status()["queues"][str(QUEUE)]["detached"]
            client.wait_for_more()
        words = f"the worker of queue {QUEUE} runs again: AF_XDP answers"
        eventually(lambda: words in server.log(), "the worker")
        assert server.status()["queues"][str(QUEUE)]["thread"] != worker
        check_the_ring_answers(server, client)
        # And it can still be taken over.
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log()
            successor.wait_for_log("stop with SIGTERM")
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


def test_a_second_successor_is_refused(lab: Lab, tmp_path: Path) -> None:
    with (
        serving(lab, tmp_path) as server,
        SteadyClient(lab) as client,
        faulty_successor(server, "prepared", "SIGSTOP") as first,
    ):
        wait_until_stopped(first.process)
        with fake_successor(lab, "answer") as second:
            assert second.stdout
            assert "another successor is taking over" in second.stdout.readline()
        first.signal(signal.SIGCONT)
        assert server.process.wait(PATIENCE) == 0, server.log()
        first.wait_for_log("stop with SIGTERM")
        client.finish()
        assert first.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


@pytest.mark.parametrize(
    "steps, words",
    [
        (["facts"], "stopped: server0 is the kernel's again"),
        (["facts", 'send={"ready": [2]}', "take"], "stopped: the successor serves server0"),
    ],
)
def test_a_stop_during_a_takeover(lab: Lab, tmp_path: Path, steps: list[str], words: str) -> None:
    """SIGTERM ends the instance whatever the successor does; it undoes what is its own."""
    with serving(lab, tmp_path) as server, fake_successor(lab, *steps, "sleep") as fake:
        assert fake.stdout
        for _ in steps:
            fake.stdout.readline()
        state = "does not serve" if "take" in steps else "preparing"
        eventually(lambda: state in server.status()["takeover"]["state"], "the takeover")
        assert server.stop() == 0
        assert words in server.log()
        assert "Traceback" not in server.log()
    eventually(lambda: attached(lab.server) is None, "the interface to be free")
