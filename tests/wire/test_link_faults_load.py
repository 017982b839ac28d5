"""What somebody does to the interface under load: said once, and nothing is lost of what came in.

The kernel throws away what is on a veth's ring when native XDP begins or ends on it, or the link
goes down; that, and no more, may be missing.
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

OFF = "somebody took the XDP program off server0"

# The kernel's answers go out on the queue where the generator listens.
SLOW = 20_000


@pytest.fixture
def own(lab: Lab, tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own, to be hurt."""
    with serving(lab, tmp_path) as server:
        yield server
        assert "Traceback" not in server.log()


def do(lab: Lab, *argv: str) -> None:
    done = lab.server.run(*argv)
    assert done.returncode == 0, done.stderr


def says(server: Server, words: str, times: int = 1) -> None:
    """Waits until the server has said it so often."""
    eventually(lambda: server.log().count(words) >= times, words)
    assert server.log().count(words) == times


def answers_by_ring(lab: Lab, server: Server, family: int = 4) -> None:
    """Without a fault, and all that the program ever brought to the ring was answered."""
    with load_on(lab, [QUEUE]) as load:
        counters = send_all(generator(lab, load, QUEUE, "ntp", family), 1000)
    assert counters["answered"] == counters["sent"] == 1000
    status = server.status()
    ring = status["queues"][str(QUEUE)]
    assert ring["tx"] == ring["rx"] == status["xdp"][str(QUEUE)]["redirected"]


@contextmanager
def channels(lab: Lab, ethtool: Callable[..., None], count: int) -> Iterator[None]:
    """Both ends have so many queues in use during a block that may change that, and all after."""
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


def test_a_queue_in_use_is_not_taken_away(lab: Lab, own: Server) -> None:
    """The kernel refuses it as long as the socket is bound."""
    with loaded(lab) as asked:
        done = lab.server.run("ethtool", "-L", IFNAME, "rx", str(QUEUE), "tx", str(QUEUE))
        assert done.returncode != 0
        asked.more()
    answers_by_ring(lab, own)


def test_more_queues(lab: Lab, tmp_path: Path, ethtool: Callable[..., None]) -> None:
    """What comes over a new one the kernel's door answers."""
    new = QUEUES - 1
    with channels(lab, ethtool, QUEUE + 1), serving(lab, tmp_path) as server:
        with loaded(lab, queues=QUEUE + 1) as asked:
            asked.thrown += 3
            # One after the other: native XDP wants as many to receive as the other end sends on.
            ethtool(lab.server, "rx", str(QUEUES))
            ethtool(lab.client, "rx", str(QUEUES), "tx", str(QUEUES))
            ethtool(lab.server, "tx", str(QUEUES))
            lab.client.send_on_queue(new, QUEUES)
            # A socket of its own: those that there are have their queue.
            dug = lab.client.run("dig", "+short", "@192.0.2.1", "www.example", "A")
            assert dug.stdout.strip() == "192.0.2.80"
            counts = lab.server.run("ethtool", "-S", IFNAME).stdout
            assert re.search(rf"rx_queue_{new}_xdp_packets: [1-9]", counts), counts
        answers_by_ring(lab, server)
        assert "Traceback" not in server.log()


def test_a_foreign_program_beside_ours(lab: Lab, own: Server) -> None:
    """The kernel refuses it: a link owns the interface."""
    program = attached(lab.server)
    with foreign_program(lab) as foreign, loaded(lab) as asked:
        for how in (("xdpdrv",), ("xdpgeneric",), ("xdpdrv", "overwrite")):
            assert not foreign.attach(*how)
        asked.more()
    assert attached(lab.server) == program
    answers_by_ring(lab, own)


def test_a_foreign_program_in_our_place(lab: Lab, own: Server) -> None:
    """The kernel answers as long as it is there."""
    lab.server.send_on_queue(QUEUE, QUEUES)
    with foreign_program(lab) as foreign, loaded(lab, SLOW) as asked:
        for times in (1, 2):
            # Ours may be back before the other comes.
            asked.thrown += 1
            detach_link(lab)
            while not foreign.attach("xdpdrv"):
                asked.thrown += 1
                detach_link(lab)
            said = f"{OFF}, and the kernel answers: another XDP program has come onto server0"
            says(own, said, times)
            assert attached(lab.server) == foreign.id
            rx = own.answers_by("ring")
            asked.more()
            assert own.answers_by("ring") == rx
            asked.thrown += 1
            foreign.detach()
            says(own, "the XDP program is on server0 again: AF_XDP answers", times)
            says(own, said, times)
            asked.more()
            assert own.answers_by("ring") > rx
    answers_by_ring(lab, own)


def test_an_address_that_goes_and_comes(lab: Lab, own: Server) -> None:
    """The other family does not notice; its own requests are answered again."""
    with loaded(lab, SLOW, family=6) as asked:
        for times in (1, 2):
            do(lab, "ip", "addr", "del", f"{lab.server.ipv4}/24", "dev", IFNAME)
            says(own, "addresses now", 2 * times - 1)
            asked.more()
            do(lab, "ip", "addr", "add", f"{lab.server.ipv4}/24", "dev", IFNAME)
            says(own, "addresses now", 2 * times)
            asked.more()
    answers_by_ring(lab, own)


def test_an_address_that_is_asked_goes_and_comes(lab: Lab, own: Server) -> None:
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        with under_way(requests, SLOW):
            for times in (1, 2):
                do(lab, "ip", "addr", "del", f"{lab.server.ipv4}/24", "dev", IFNAME)
                says(own, "addresses now", 2 * times - 1)
                do(lab, "ip", "addr", "add", f"{lab.server.ipv4}/24", "dev", IFNAME)
                says(own, "addresses now", 2 * times)
                before = requests.counters()["answered"]
                eventually(lambda b=before: requests.counters()["answered"] > b, "answers")
        counters = requests.counters()
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    answers_by_ring(lab, own)


def test_a_link_that_flaps(lab: Lab, own: Server) -> None:
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        with under_way(requests, SLOW):
            for times in (1, 2, 3):
                do(lab, "ip", "link", "set", IFNAME, "down")
                says(own, "server0 is down", times)
                do(lab, "ip", "link", "set", IFNAME, "up")
                says(own, "server0 is up again", times)
                before = requests.counters()["answered"]
                eventually(lambda b=before: requests.counters()["answered"] > b, "answers")
        counters = requests.counters()
    # Taken off with the link, and not put back by the kernel.
    do(lab, "ip", "addr", "replace", f"{lab.server.ipv6}/64", "dev", IFNAME, "nodad")
    assert (counters["wrong"], counters["duplicate"]) == (0, 0)
    answers_by_ring(lab, own)


@pytest.mark.parametrize("how", ["delete", "move"])
def test_an_interface_that_goes_away(how: str, tmp_path: Path) -> None:
    """Nothing is left but a line that says so."""
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
        assert log.endswith("xdpkit: server0 is gone: restart xdpkit once it is back\n"), log
        assert log.count("is gone") == 1 and "Traceback" not in log and OFF not in log
        assert lab.server.run(XDPKIT, "restore").stdout == "nothing to undo\n"
        with pytest.raises(ControlError):
            server.status()
        if how == "move":
            assert "xdp" not in lab.client.run("ip", "link", "show", IFNAME).stdout
        if not run_here("which", "bpftool").returncode:
            show = ("bpftool", "prog", "show", "id", str(program))
            eventually(lambda: run_here(*show).returncode, "the end of the program")
