"""Changes by others to the interface under load: logged once, and no request is lost.

Except that the kernel discards what is on a veth's ring when native XDP is turned on or off, or
the link goes down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from both_ways_in import loaded
from loading import generator, load_on, send_all, under_way
from programs import detach_link, foreign_program
from serving import (
    IFNAME,
    PATIENCE,
    QUEUE,
    QUEUES,
    XDPKIT,
    Server,
    attached,
    eventually,
    run_here,
    serving,
    write_config,
)

from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

OFF = "someone detached the XDP program from server0"

# A rate for the slow path, whose answers go out on the queue where the load generator listens.
SLOW = 20_000


@pytest.fixture
def own_server(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A separate server for one test, to do harm to."""
    with serving(lab, tmp_path) as server:
        yield server
        assert "Traceback" not in server.log()


def do(lab: Lab, *argv: str) -> None:
    done = lab.server.run(*argv)
    assert done.returncode == 0, done.stderr


def wait_for_log(server: Server, words: str, times: int = 1) -> None:
    """Waits until the server has logged it this many times."""
    eventually(lambda: server.log().count(words) >= times, words)
    assert server.log().count(words) == times


def answers_by_ring(lab: Lab, server: Server, family: int = 4) -> None:
    """Checks that the ring answers without a fault, and has answered all it ever received."""
    with load_on(lab, [QUEUE]) as load:
        counters = send_all(generator(lab, load, QUEUE, "ntp", family), 1000)
    assert counters["answered"] == counters["sent"] == 1000
    status = server.status()
    ring = status["queues"][str(QUEUE)]
    assert ring["tx"] == ring["rx"] == status["xdp"][str(QUEUE)]["redirected"]


@contextmanager
def channels(lab: Lab, ethtool: Callable[..., None], count: int) -> Iterator[None]:
    """Both ends use this many queues during a block, which may change that; all of them after."""
    sides = (lab.client, lab.server)
    for side in sides:
        ethtool(side, "rx", str(count), "tx", str(count))
    try:
        yield
    finally:
        for side in sides:
            ethtool(side, "rx", str(QUEUES), "tx", str(QUEUES))


@pytest.fixture
def ethtool(tool: Callable[[str], str]) -> Callable[..., None]:
    program = tool("ethtool")

    def set_channels(side: object, *arguments: str) -> None:
        done = side.run(program, "-L", side.ifname, *arguments)
        assert done.returncode == 0, done.stderr

    return set_channels


def test_a_queue_in_use_is_not_taken_away(lab: Lab, own_server: Server) -> None:
    """The kernel refuses it as long as the socket is bound."""
    with loaded(lab) as load:
        done = lab.server.run("ethtool", "-L", IFNAME, "rx", str(QUEUE), "tx", str(QUEUE))
        assert done.returncode != 0
        load.wait_for_more()
    answers_by_ring(lab, own_server)


def test_more_queues(lab: Lab, tmp_path: Path, ethtool: Callable[..., None]) -> None:
    """Requests on a new queue are answered by the slow path."""
    new = QUEUES - 1
    with channels(lab, ethtool, QUEUE + 1), serving(lab, tmp_path) as server:
        with loaded(lab, queues=QUEUE + 1) as load:
            load.flushed_rings += 3
            # In this order: native XDP needs as many RX queues as the other end has TX queues.
            ethtool(lab.server, "rx", str(QUEUES))
            ethtool(lab.client, "rx", str(QUEUES), "tx", str(QUEUES))
            ethtool(lab.server, "tx", str(QUEUES))
            lab.client.send_on_queue(new, QUEUES)
            # A new socket: existing ones stick to their queue.
            dug = lab.client.run("dig", "+short", "@192.0.2.1", "www.example", "A")
            assert dug.stdout.strip() == "192.0.2.80"
            counts = lab.server.run("ethtool", "-S", IFNAME).stdout
            assert re.search(rf"rx_queue_{new}_xdp_packets: [1-9]", counts), counts
        answers_by_ring(lab, server)
        assert "Traceback" not in server.log()


def test_a_foreign_program_beside_ours(lab: Lab, own_server: Server) -> None:
    """The kernel refuses it: a link owns the interface."""
    program = attached(lab.server)
    with foreign_program(lab) as foreign, loaded(lab) as load:
        for how in (("xdpdrv",), ("xdpgeneric",), ("xdpdrv", "overwrite")):
            assert not foreign.attach(*how)
        load.wait_for_more()
    assert attached(lab.server) == program
    answers_by_ring(lab, own_server)


def test_a_foreign_program_instead_of_ours(lab: Lab, own_server: Server) -> None:
    """The slow path answers as long as it is there."""
    lab.server.send_on_queue(QUEUE, QUEUES)
    with foreign_program(lab) as foreign, loaded(lab, SLOW) as load:
        for times in (1, 2):
            # Our program may be back before the other is attached.
            load.flushed_rings += 1
            detach_link(lab)
            while not foreign.attach("xdpdrv"):
                load.flushed_rings += 1
                detach_link(lab)
            line = f"{OFF}, and the slow path answers: another XDP program is now on server0"
            wait_for_log(own_server, line, times)
            assert attached(lab.server) == foreign.id
            rx = own_server.answers_by("ring")
            load.wait_for_more()
            assert own_server.answers_by("ring") == rx
            load.flushed_rings += 1
            foreign.detach()
            wait_for_log(own_server, "the XDP program is on server0 again: AF_XDP answers", times)
            wait_for_log(own_server, line, times)
            load.wait_for_more()
            assert own_server.answers_by("ring") > rx
    answers_by_ring(lab, own_server)


def test_an_address_that_goes_and_comes(lab: Lab, own_server: Server) -> None:
    """The other family does not notice; its own requests are answered again."""
    with loaded(lab, SLOW, family=6) as load:
        for times in (1, 2):
            do(lab, "ip", "addr", "del", f"{lab.server.ipv4}/24", "dev", IFNAME)
            wait_for_log(own_server, "addresses now", 2 * times - 1)
            load.wait_for_more()
            do(lab, "ip", "addr", "add", f"{lab.server.ipv4}/24", "dev", IFNAME)
            wait_for_log(own_server, "addresses now", 2 * times)
            load.wait_for_more()
    answers_by_ring(lab, own_server)


def test_an_address_that_is_asked_goes_and_comes(lab: Lab, own_server: Server) -> None:
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        with under_way(requests, SLOW):
            for times in (1, 2):
                do(lab, "ip", "addr", "del", f"{lab.server.ipv4}/24", "dev", IFNAME)
                wait_for_log(own_server, "addresses now", 2 * times - 1)
                do(lab, "ip", "addr", "add", f"{lab.server.ipv4}/24", "dev", IFNAME)
                wait_for_log(own_server, "addresses now", 2 * times)
                before = requests.counters()["answered"]
                eventually(lambda b=before: requests.counters()["answered"] > b, "answers")
        counters = requests.counters()
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    answers_by_ring(lab, own_server)


def test_a_link_that_flaps(lab: Lab, own_server: Server) -> None:
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        with under_way(requests, SLOW):
            for times in (1, 2, 3):
                do(lab, "ip", "link", "set", IFNAME, "down")
                wait_for_log(own_server, "server0 is down", times)
                do(lab, "ip", "link", "set", IFNAME, "up")
                wait_for_log(own_server, "server0 is up again", times)
                before = requests.counters()["answered"]
                eventually(lambda b=before: requests.counters()["answered"] > b, "answers")
        counters = requests.counters()
    # Removed when the link went down, and not restored by the kernel.
    do(lab, "ip", "addr", "replace", f"{lab.server.ipv6}/64", "dev", IFNAME, "nodad")
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    answers_by_ring(lab, own_server)


GONE = {
    "delete": "is gone: restart xdpkit once it is back",
    "move": "was moved to another network namespace: start xdpkit there",
}


@pytest.mark.parametrize("how", GONE)
def test_an_interface_that_goes_away(how: str, tmp_path: Path) -> None:
    """Nothing remains but a log line that says so."""
    with Lab() as lab:
        server = Server(lab.server, write_config(tmp_path))
        program = attached(lab.server)
        with (
            load_on(lab, [QUEUE]) as load,
            under_way(generator(lab, load, QUEUE, "ntp", 4), SLOW),
        ):
            eventually(lambda: server.answers_by("ring") > 1000, "the load")
            if how == "delete":
                do(lab, "ip", "link", "delete", IFNAME)
            else:
                do(lab, "ip", "link", "set", IFNAME, "netns", lab.client.namespace)
            assert server.process.wait(PATIENCE) == 1
        log = server.log()
        assert log.endswith(f"xdpkit: server0 {GONE[how]}\n"), log
        assert log.count(GONE[how]) == 1 and "Traceback" not in log and OFF not in log
        assert lab.server.run(XDPKIT, "restore").stdout == "nothing to undo\n"
        with pytest.raises(ControlError):
            server.status()
        if how == "move":
            assert "xdp" not in lab.client.run("ip", "link", "show", IFNAME).stdout
        if not run_here("which", "bpftool").returncode:
            show = ("bpftool", "prog", "show", "id", str(program))
            eventually(lambda: run_here(*show).returncode, "the end of the program")
