"""Threads that die or hang: something else answers for them, or the process exits."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from intruder import frozen, make_call, needs_x86
from serving import (
    CONFIG,
    PATIENCE,
    QUEUE,
    QUEUES,
    WWW,
    Server,
    attached,
    eventually,
    health,
    look_up,
    serving,
)

from xdpkit.lab.namespaces import Lab

pytestmark = [pytest.mark.netns, needs_x86]

BUSY = CONFIG.replace("queues", 'poll = "busy"\nqueues')
ALONE = CONFIG.replace("queues", "slow_path = false\nqueues")


@pytest.fixture
def own_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A separate server for one test, queried on the queue that it serves."""
    lab.client.send_on_queue(QUEUE, QUEUES)
    with serving(lab, tmp_path) as server:
        yield server


def test_health_names_what_is_dead_or_stalled(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path, CONFIG + "[metrics]\n") as server:
        assert health(lab) == (200, "healthy\n")
        with frozen(worker_of(server)):
            eventually(lambda: health(lab)[0] == 503, "a problem")
            assert health(lab)[1] == f"degraded\nthe worker of queue {QUEUE} is stalled\n"
        eventually(lambda: health(lab) == (200, "healthy\n"), "its end")
        with frozen(server.status()["slow_path"]["udp"]["thread"]):
            eventually(lambda: health(lab)[0] == 503, "a problem")
            assert health(lab)[1].splitlines() == [
                "down",
                "not everything is answered",
                "the thread of the UDP listener is stalled",
            ]
        eventually(lambda: health(lab) == (200, "healthy\n"), "its end")
        make_call(worker_of(server), sleeping=True)
        eventually(lambda: health(lab)[0] == 503, "a problem")
        assert health(lab)[1] == f"degraded\nthe worker of queue {QUEUE} is dead\n"


def worker_of(server: Server) -> int:
    """The thread that serves the queue."""
    return eventually(
        lambda: int(server.status()["queues"][str(QUEUE)]["thread"]), "the worker's thread"
    )


def is_detached(server: Server) -> bool:
    detached: bool = server.status()["queues"][str(QUEUE)]["detached"]
    return detached


def test_a_dead_worker_leaves_its_queue_to_the_kernel(own_server: Server, lab: Lab) -> None:
    assert look_up(lab.client) == [WWW]
    before = own_server.status()["slow_path"]["udp"]["tx"]
    worker = worker_of(own_server)
    make_call(worker, sleeping=True)
    eventually(lambda: is_detached(own_server), "the queue to be the kernel's")
    assert own_server.status()["queues"][str(QUEUE)]["dead"]
    assert not Path(f"/proc/{own_server.status()['pid']}/task/{worker}").exists()
    assert look_up(lab.client) == [WWW]
    assert own_server.status()["slow_path"]["udp"]["tx"] == before + 1
    assert f"worker of queue {QUEUE} made a forbidden system call" in own_server.log()
    assert own_server.stop() == 0, own_server.log()
    assert attached(lab.server) is None


def test_a_worker_that_died_while_busy_holds_no_snapshot(lab: Lab, tmp_path: Path) -> None:
    """A busy-polling one is never offline: unless marked dead, a reload would wait for it."""
    with serving(lab, tmp_path, BUSY) as server:
        make_call(worker_of(server), sleeping=False)
        eventually(lambda: is_detached(server), "the queue to be the kernel's")
        for _ in range(2):
            assert server.request("reload")["zones"]["example"]


@pytest.mark.parametrize("listener", ["UDP", "TCP"])
def test_a_dead_listener_thread_ends_the_process(
    own_server: Server, lab: Lab, listener: str
) -> None:
    make_call(own_server.status()["slow_path"][listener.lower()]["thread"], sleeping=True)
    assert own_server.process.wait(PATIENCE) == 1
    assert f"the thread of the {listener} listener made a forbidden system call" in own_server.log()
    assert attached(lab.server) is None


def test_a_dead_worker_without_slow_path_ends_the_process(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path, ALONE) as server:
        make_call(worker_of(server), sleeping=True)
        assert server.process.wait(PATIENCE) == 1
        assert "slow_path = false" in server.log()
    assert attached(lab.server) is None


def test_a_worker_that_hangs_gets_its_queue_back(own_server: Server, lab: Lab) -> None:
    with frozen(worker_of(own_server)):
        eventually(lambda: is_detached(own_server), "the queue to be the kernel's")
        assert look_up(lab.client) == [WWW]
    eventually(lambda: not is_detached(own_server), "the queue to be AF_XDP's")
    assert not own_server.status()["queues"][str(QUEUE)]["dead"]
    assert look_up(lab.client) == [WWW]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_worker_that_hangs_at_shutdown(own_server: Server, lab: Lab, signals: int) -> None:
    """Everything else is undone without it, after a while or on a second signal."""
    with frozen(worker_of(own_server)):
        for _ in range(signals):
            own_server.signal(signal.SIGTERM)
        eventually(lambda: "exiting without waiting" in own_server.log(), "the end")
    assert own_server.process.wait(PATIENCE) == 1
    assert own_server.log().index("server0 is the kernel's again") < own_server.log().index(
        "exiting without"
    )
    assert attached(lab.server) is None
