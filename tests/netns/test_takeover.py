"""An instance hands over to its successor under load: nothing is lost, whoever goes away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from loading import generator, load_on, under_way
from payloads import query
from serving import (
    CONFIG,
    PATIENCE,
    QUEUE,
    QUEUES,
    Server,
    attached,
    eventually,
    serving,
    write_config,
)
from tcp_client import TcpClient

from xdpkit import control_client
from xdpkit.control import ControlServer
from xdpkit.handover import LAYOUT, Wire
from xdpkit.lab import Lab

pytestmark = pytest.mark.netns

RATE = 100_000

KEPT = "the successor went away: this instance serves on"


@contextmanager
def successor(server: Server, config: Path | None = None) -> Iterator[Server]:
    """``xdpkit run --takeover`` beside a running instance, until the end of the block."""
    heir = Server(server.side, config or server.path, more=("--takeover",))
    try:
        eventually(lambda: "stop with SIGTERM" in heir.log(), "the successor")
        yield heir
        assert heir.stop() == 0, heir.log()
    finally:
        heir.kill()


@contextmanager
def kernel_door_asked(lab: Lab) -> Iterator[Callable[[], int]]:
    """NTP requests on a queue that the kernel has, one after the other; counts the answers."""
    lab.client.send_on_queue(1, QUEUES)
    answered, stop = 0, False

    def work() -> None:
        nonlocal answered
        while not stop:
            token = answered.to_bytes(8)
            sock.send(b"\x23" + bytes(39) + token)
            # Raises TimeoutError for an answer that is lost.
            assert sock.recv(4096)[24:32] == token
            answered += 1

    with lab.client.entered():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(PATIENCE / 2)
    sock.connect((lab.server.ipv4, 123))
    with sock, ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        try:
            yield lambda: answered
        finally:
            stop = True
            working.result()


@contextmanager
def loaded(lab: Lab, rate: int = RATE) -> Iterator[Callable[[], None]]:
    """Asks both doors for the length of the block: nothing may be lost.

    What it gives waits until each has answered some more.
    """
    with load_on(lab, [QUEUE]) as load, kernel_door_asked(lab) as answered:
        requests = generator(lab, load, QUEUE, "ntp", 4)

        def more() -> None:
            ring, kernel = requests.counters()["answered"], answered()
            eventually(lambda: requests.counters()["answered"] > ring + 1000, "the ring's door")
            eventually(lambda: answered() > kernel + 10, "the kernel's door")

        with under_way(requests, rate):
            more()
            yield more
            more()
        counters = requests.counters()
    assert counters["answered"] == counters["sent"]
    assert [counters[fault] for fault in ("wrong", "lost", "duplicate")] == [0, 0, 0]


def test_nothing_is_lost(lab: Lab, tmp_path: Path) -> None:
    with ExitStack() as heirs, serving(lab, tmp_path) as server, loaded(lab) as more:
        program = attached(lab.server)
        with lab.client.entered():
            client = TcpClient((lab.server.ipv4, 53))
        with client:
            heir = heirs.enter_context(successor(server))
            more()
            # A client that was connected is still answered, by the predecessor.
            client.send(query("www.example", "A"))
            assert client.receive()
        assert server.process.wait(PATIENCE) == 0
        assert "stopped: the successor serves server0" in server.log()
        assert attached(lab.server) not in (None, program)
        assert heir.status()["queues"][str(QUEUE)]["rx"] > 0
        with lab.client.entered(), TcpClient((lab.server.ipv4, 53)) as other:
            other.send(query("www.example", "A"))
            assert other.receive()
        # And once more: what was taken over can be handed over.
        third = write_config(tmp_path / "third")
        heirs.enter_context(successor(heir, third))
        assert heir.process.wait(PATIENCE) == 0, heir.log()
        more()
    assert attached(lab.server) is None


@pytest.mark.parametrize("words", [[], [{"ready": [QUEUE]}]])
def test_a_successor_that_goes_away(
    lab: Lab, tmp_path: Path, words: list[dict[str, list[int]]]
) -> None:
    async def ask() -> None:
        wire = Wire(connection)
        await wire.send({"verb": "takeover"})
        facts = await wire.receive(PATIENCE)
        assert facts is not None and facts["layout"] == LAYOUT
        for word in words:
            await wire.send(word)
            assert await wire.receive(PATIENCE) == {"parked": True}
        wire.close()

    with serving(lab, tmp_path) as server, loaded(lab) as more:
        for times in (1, 2):
            with lab.server.entered():
                connection = control_client.connect(server.ifname)
            anyio.run(ask)
            eventually(lambda n=times: server.log().count(KEPT) == n, "the log")
            more()


def test_a_queue_that_the_successor_does_not_want(lab: Lab, tmp_path: Path) -> None:
    other = write_config(tmp_path / "other", CONFIG.replace("[2]", "[0, 3]"))
    # The kernel answers there then: slower, and on the queue that the requests came from.
    lab.server.send_on_queue(QUEUE, QUEUES)
    with ExitStack() as heirs, serving(lab, tmp_path) as server, loaded(lab, 20_000) as more:
        heir = heirs.enter_context(successor(server, other))
        assert server.process.wait(PATIENCE) == 0, server.log()
        more()
        assert set(heir.status()["queues"]) == {"0", "3"}


def test_nobody_to_take_over_from(lab: Lab, tmp_path: Path) -> None:
    server = Server(lab.server, write_config(tmp_path), more=("--takeover",))
    try:
        assert attached(lab.server) is not None
        assert server.stop() == 0, server.log()
    finally:
        server.kill()
    assert attached(lab.server) is None


def test_another_layout_is_a_restart(lab: Lab, tmp_path: Path) -> None:
    """An instance of another version stops first; the gap is said."""

    async def old_instance() -> None:
        async def give(connection: socket.socket) -> None:
            wire = Wire(connection)
            await wire.send({"layout": [0], "queues": [], "udp": [], "tcp": []})
            assert await wire.receive(PATIENCE) == {"restart": True}
            old.close()
            wire.close()
            scope.cancel()

        with lab.server.entered():
            old = ControlServer("server0", {}, {"takeover": give})
            old.bind()
        with anyio.CancelScope() as scope:
            ready.set()
            await old.serve()

    ready = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        serving_old = thread.submit(anyio.run, old_instance)
        assert ready.wait(PATIENCE)
        server = Server(lab.server, write_config(tmp_path), more=("--takeover",))
        try:
            serving_old.result(PATIENCE)
            eventually(lambda: "nothing was answered for" in server.log(), "the gap")
            assert "not taken over but restarted: its frames are laid out as" in server.log()
            assert server.stop() == 0, server.log()
        finally:
            server.kill()
