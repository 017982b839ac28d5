"""A burst on each of the four queues: every packet is answered once, and counted where it came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from loading import all_answered, generator, load_on, send_all
from serving import QUEUE, QUEUES, Server, eventually

from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.setup import Load

pytestmark = pytest.mark.netns

BURST = 3000
SERVICES = ("echo", "ntp", "dns")


@pytest.fixture(scope="module")
def load(lab: Lab, server: Server) -> Iterator[Load]:
    with load_on(lab, list(range(QUEUES))) as load:
        yield load


@pytest.mark.parametrize("queue", range(QUEUES))
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("family", [4, 6])
def test_burst(lab: Lab, server: Server, load: Load, queue: int, service: str, family: int) -> None:
    # The slow path's replies return on the queue of the load generator's socket.
    lab.server.send_on_queue(queue, QUEUES)
    before = server.status()
    requests = generator(lab, load, queue, service, family)
    assert send_all(requests, BURST) == all_answered(BURST)
    verdict = {"echo": "echo_answered", "ntp": "ntp_answered"}.get(service, "dns_noerror")
    # The UDP listener counts replies after sending them, so the last ones may still be missing.
    eventually(lambda: server.verdicts()[verdict] >= before["verdicts"][verdict] + BURST, "counts")
    after = server.status()

    def added(*path: str) -> int:
        return number_at(after, *path) - number_at(before, *path)

    ring = queue == QUEUE
    for number in range(QUEUES):
        here = BURST if number == queue else 0
        assert added("xdp", str(number), "redirected") == (here if ring else 0)
        assert added("xdp", str(number), "other_queue") == (0 if ring else here)
    for end in ("rx", "tx"):
        assert added("queues", str(QUEUE), end) == (BURST if ring else 0)
        assert added("slow_path", "udp", end) == (0 if ring else BURST)
    assert after["queues"][str(QUEUE)]["dropped"] == after["slow_path"]["udp"]["dropped"] == {}
    assert added("verdicts", verdict) == BURST


def number_at(document: dict[str, Any], *path: str) -> int:
    """A counter in the status document, which omits verdicts that never occurred."""
    for key in path[:-1]:
        document = document[key]
    number: int = document.get(path[-1], 0)
    return number


def test_nothing_was_lost_on_the_rings(server: Server) -> None:
    queue = server.status()["queues"][str(QUEUE)]
    # The kernel found the TX ring empty: every kick ends like that.
    del queue["socket"]["tx_ring_empty_descs"]
    assert queue["socket"] == dict.fromkeys(queue["socket"], 0)
    assert queue["loop"]["tx_pending"] == 0


@pytest.mark.parametrize("family", [4, 6])
def test_all_queues_at_once_stay_apart(lab: Lab, server: Server, load: Load, family: int) -> None:
    """Requests through both ways in alternately: neither affects the other's replies."""
    ring = generator(lab, load, QUEUE, "dns", family)
    lab.server.send_on_queue(0, QUEUES)
    kernel = generator(lab, load, 0, "dns", family)
    for count in range(500, 3001, 500):
        ring.run(5.0, count=count, window=64)
        kernel.run(5.0, count=count, window=64)
    assert send_all(ring, 3000) == all_answered(3000)
    assert send_all(kernel, 3000) == all_answered(3000)
