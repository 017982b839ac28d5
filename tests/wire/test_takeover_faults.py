"""A takeover in which either side stops or goes away: the queues are answered all the time.

How long no request was answered is printed; ``pytest -rP`` shows it.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from serving import PATIENCE, QUEUE, STARTING, serving
from steady import SteadyClient
from takeover_fault import POINTS
from taking_over import (
    ALONE,
    SILENCE,
    as_server,
    check_the_ring_answers,
    faulty_successor,
    wait_until_kept,
    wait_until_stopped,
)

from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

# Until it owns the rings, the predecessor need not wait for it.
OWNING = ("rings", "program", "loops")


@pytest.mark.parametrize("point", POINTS)
def test_a_successor_that_dies(lab: Lab, tmp_path: Path, point: str) -> None:
    with serving(lab, tmp_path) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, point, "SIGKILL") as successor:
            assert successor.process.wait(STARTING) == -signal.SIGKILL, successor.log()
            wait_until_kept(server, 1)
        client.wait_for_more()
        check_the_ring_answers(server, client)
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


@pytest.mark.parametrize("point", POINTS)
def test_a_predecessor_that_dies(lab: Lab, tmp_path: Path, point: str) -> None:
    """While its successor stands still, which then serves what has waited on the rings."""
    with serving(lab, tmp_path) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, point, "SIGSTOP") as successor:
            wait_until_stopped(successor.process)
            server.signal(signal.SIGKILL)
            server.process.wait(PATIENCE)
            successor.signal(signal.SIGCONT)
            successor.wait_for_log("stop with SIGTERM")
            client.wait_for_more()
            check_the_ring_answers(as_server(successor, server), client)
            client.finish(1)
            assert successor.stop() == 0, successor.log()
            assert "Traceback" not in successor.log()
    # Before it has the state, nobody is there to answer.
    assert client.lost == 0 or point == "asked"
    assert client.silence < SILENCE


@pytest.mark.parametrize("point", POINTS)
def test_a_successor_that_is_stopped_and_continues(lab: Lab, tmp_path: Path, point: str) -> None:
    """It serves in the end, unless it was asleep when it was to take the rings."""
    with serving(lab, tmp_path) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, point, "SIGSTOP") as successor:
            wait_until_stopped(successor.process)
            time.sleep(3)
            client.wait_for_more()
            if point != "ready":
                with pytest.raises(ControlError, match="a successor is taking over"):
                    server.request("reload")
            if point in OWNING:
                state = server.status()
                assert "does not serve" in state["takeover"]["state"]
                assert state["takeover"]["successor"] == successor.process.pid
                assert state["queues"][str(QUEUE)]["detached"]
            successor.signal(signal.SIGCONT)
            if point == "ready":
                assert successor.process.wait(PATIENCE) == 1
                assert "not taken over: the other instance does not answer" in successor.log()
                assert server.request("reload")["zones"]
                wait_until_kept(server, 1)
                check_the_ring_answers(server, client)
            else:
                assert server.process.wait(PATIENCE) == 0, server.log()
                assert "stopped: the successor serves server0" in server.log()
                successor.wait_for_log("stop with SIGTERM")
                client.wait_for_more()
                check_the_ring_answers(as_server(successor, server), client)
                client.finish()
                assert successor.stop() == 0, successor.log()
            assert "Traceback" not in successor.log()
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


@pytest.mark.parametrize("point", OWNING)
def test_a_successor_that_stays_stopped_is_ended(lab: Lab, tmp_path: Path, point: str) -> None:
    with serving(lab, tmp_path) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, point, "SIGSTOP") as successor:
            wait_until_stopped(successor.process)
            assert successor.process.wait(2 * PATIENCE) == -signal.SIGKILL
            wait_until_kept(server, 1)
        assert f"the successor (pid {successor.process.pid}) was killed" in server.log()
        check_the_ring_answers(server, client)
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()


def test_a_stopped_successor_without_a_slow_path(lab: Lab, tmp_path: Path) -> None:
    """Nobody else could answer: it is ended at once, and what waited on the rings is answered."""
    with serving(lab, tmp_path, ALONE) as server, SteadyClient(lab) as client:
        client.wait_for_more()
        with faulty_successor(server, "rings", "SIGSTOP") as successor:
            assert successor.process.wait(STARTING) == -signal.SIGKILL
        client.wait_for_more()
        wait_until_kept(server, 1)
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()
