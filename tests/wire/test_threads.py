"""Threads that die or stand still: somebody answers in their place, or the process ends."""

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
    looked_up,
    serving,
)

from xdpkit.lab.namespaces import Lab

pytestmark = [pytest.mark.netns, needs_x86]

BUSY = CONFIG.replace("queues", 'poll = "busy"\nqueues')
ALONE = CONFIG.replace("queues", "slow_path = false\nqueues")


@pytest.fixture
def own(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, asked on the queue that it serves."""
    lab.client.send_on_queue(QUEUE, QUEUES)
    with serving(lab, tmp_path) as server:
        yield server


def worker_of(server: Server) -> int:
    """The thread of the served queue."""
    thread: int = server.status()["queues"][str(QUEUE)]["thread"]
    return thread


def is_detached(server: Server) -> bool:
    detached: bool = server.status()["queues"][str(QUEUE)]["detached"]
    return detached


def test_a_dead_worker_leaves_its_queue_to_the_kernel(own: Server, lab: Lab) -> None:
    assert looked_up(lab.client) == [WWW]
    before = own.status()["slow_path"]["udp"]["tx"]
    worker = worker_of(own)
    make_call(worker, sleeping=True)
    eventually(lambda: is_detached(own), "the queue to be the kernel's")
    assert own.status()["queues"][str(QUEUE)]["dead"]
    assert not Path(f"/proc/{own.status()['pid']}/task/{worker}").exists()
    assert looked_up(lab.client) == [WWW]
    assert own.status()["slow_path"]["udp"]["tx"] == before + 1
    assert f"worker of queue {QUEUE} made a forbidden system call" in own.log()
    assert own.stop() == 0, own.log()
    assert attached(lab.server) is None


def test_a_worker_that_died_at_work_holds_no_snapshot(lab: Lab, tmp_path: Path) -> None:
    """One that spins is never offline: without its owner's word a reload would wait for it."""
    with serving(lab, tmp_path, BUSY) as server:
        make_call(worker_of(server), sleeping=False)
        eventually(lambda: is_detached(server), "the queue to be the kernel's")
        for _ in range(2):
            assert server.request("reload")["zones"]["example"]


@pytest.mark.parametrize("way_in", ["UDP", "TCP"])
def test_a_dead_door_ends_the_process(own: Server, lab: Lab, way_in: str) -> None:
    make_call(own.status()["slow_path"][way_in.lower()]["thread"], sleeping=True)
    assert own.process.wait(PATIENCE) == 1
    assert f"the thread of the {way_in} listener made a forbidden system call" in own.log()
    assert attached(lab.server) is None


def test_a_dead_worker_without_doors_ends_the_process(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path, ALONE) as server:
        make_call(worker_of(server), sleeping=True)
        assert server.process.wait(PATIENCE) == 1
        assert "slow_path = false" in server.log()
    assert attached(lab.server) is None


def test_a_worker_that_stands_still_gets_its_queue_back(own: Server, lab: Lab) -> None:
    with frozen(worker_of(own)):
        eventually(lambda: is_detached(own), "the queue to be the kernel's")
        assert looked_up(lab.client) == [WWW]
    eventually(lambda: not is_detached(own), "the queue to be AF_XDP's")
    assert not own.status()["queues"][str(QUEUE)]["dead"]
    assert looked_up(lab.client) == [WWW]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_worker_that_stands_still_at_the_end(own: Server, lab: Lab, signals: int) -> None:
    """The rest is undone without it, after a while or at a second signal."""
    with frozen(worker_of(own)):
        for _ in range(signals):
            own.signal(signal.SIGTERM)
        eventually(lambda: "exiting without waiting" in own.log(), "the end")
    assert own.process.wait(PATIENCE) == 1
    assert own.log().index("server0 is the kernel's again") < own.log().index("exiting without")
    assert attached(lab.server) is None
