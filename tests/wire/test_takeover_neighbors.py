"""A takeover beside other things: metrics, another user, many addresses, a reload, a signal."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from intruder import frozen, needs_x86
from rights import NOBODY, open_directory
from serving import (
    CONFIG,
    PATIENCE,
    QUEUE,
    STARTING,
    Server,
    Started,
    attached,
    eventually,
    serving,
    write_config,
)
from steady import SteadyClient
from taking_over import (
    ALONE,
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
from test_privileges import holding
from test_service import Manager

from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.privileges import NEEDED

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
        # More than one message, and than select(2), has room for.
        descriptors = Path(f"/proc/{server.status()['pid']}/fd")
        assert sum(1 for _ in descriptors.iterdir()) > 1024
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
            successor.wait_for_log("stop with SIGTERM")
            check_the_ring_answers(as_server(successor, server), client)
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


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


@pytest.mark.parametrize("config", [CONFIG, ALONE], ids=["slow path", "alone"])
def test_the_watchdog_is_fed_while_requests_are_answered(
    lab: Lab, tmp_path: Path, config: str
) -> None:
    """By whatever way; not while a stopped successor has the rings and there is no other way."""
    manager = Manager(tmp_path / "notify")
    before = ("env", f"NOTIFY_SOCKET={tmp_path / 'notify'}", "WATCHDOG_USEC=600000")
    program = (sys.executable, "-P", str(HERE / "may_not_kill.py"))
    server = Server(lab.server, write_config(tmp_path, config), before=before, program=program)
    with ended(server), closing(manager):
        manager.wait_for("WATCHDOG=1")
        with faulty_successor(server, "rings", "SIGSTOP") as successor:
            wait_until_stopped(successor.process)
            eventually(lambda: "has taken the rings" in server.log(), "the log")
            time.sleep(0.5)
            manager.read()
            manager.messages.clear()
            time.sleep(3)
            manager.read()
            assert ("WATCHDOG=1" in manager.messages) == (config == CONFIG)
            assert server.status()["takeover"]["state"] != "none"
            successor.signal(signal.SIGKILL)
            wait_until_kept(server, 1)
        manager.messages.clear()
        manager.wait_for("WATCHDOG=1")


def test_an_instance_of_another_user_is_taken_over_by_that_user(lab: Lab) -> None:
    who = holding(set(NEEDED), *NOBODY)
    with open_directory(lab.server) as directory, SteadyClient(lab) as client:
        server = Started(lab.server, write_config(directory), before=who)
        try:
            server.wait_for_log("stop with SIGTERM")
            client.wait_for_more()
            already = client.lost
            with faulty_successor(server, "rings", "SIGKILL", who) as successor:
                successor.process.wait(STARTING)
                server.wait_for_log("not taken over (it is gone)")
            with faulty_successor(server, "rings", "SIGSTOP", who) as successor:
                wait_until_stopped(successor.process)
                assert successor.process.wait(2 * PATIENCE) == -signal.SIGKILL
            client.wait_for_more()
            with faulty_successor(server, "", "SIGCONT", who) as successor:
                assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
                successor.wait_for_log("stop with SIGTERM")
                client.finish()
                assert successor.stop() == 0
        finally:
            server.kill()
    # Those of before its start.
    assert client.lost <= already


def test_busy_loops_are_taken_over(lab: Lab, tmp_path: Path) -> None:
    config = CONFIG.replace("queues", 'poll = "busy"\nqueues')
    with serving(lab, tmp_path, config) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, "rings", "SIGKILL") as successor:
            successor.process.wait(PATIENCE)
            wait_until_kept(server, 1)
        check_the_ring_answers(server, client)
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
            successor.wait_for_log("stop with SIGTERM")
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
