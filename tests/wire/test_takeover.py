"""An instance hands over to its successor under load: nothing is lost, whichever goes away."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from both_ways_in import loaded
from payloads import query
from programs import detach_link
from serving import (
    CONFIG,
    PATIENCE,
    QUEUE,
    QUEUES,
    STARTING,
    Server,
    attached,
    eventually,
    serving,
    write_config,
)
from tcp_client import TcpClient

from xdpkit.control import client as control_client
from xdpkit.control.server import ControlServer
from xdpkit.instance.handover.messages import MOST_DESCRIPTORS
from xdpkit.instance.handover.wire import LAYOUT, Wire
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

KEPT = "not taken over (it is gone): this instance continues to serve"


@contextmanager
def successor(server: Server, config: Path | None = None) -> Iterator[Server]:
    """``xdpkit run --takeover`` beside a running instance, until the end of the block."""
    new_server = Server(server.side, config or server.path, more=("--takeover",))
    try:
        eventually(lambda: "stop with SIGTERM" in new_server.log(), "the successor", STARTING)
        yield new_server
        assert new_server.stop() == 0, new_server.log()
    finally:
        new_server.kill()


def test_nothing_is_lost(lab: Lab, tmp_path: Path) -> None:
    # A successor's start may take longer than the default idle timeout of a connection.
    config = CONFIG.replace("[echo]", "tcp_idle = 600\n[echo]")
    with ExitStack() as successors, serving(lab, tmp_path, config) as server, loaded(lab) as load:
        program = attached(lab.server)
        with lab.client.entered():
            client = TcpClient((lab.server.ipv4, 53))
        with client:
            new_server = successors.enter_context(successor(server))
            load.wait_for_more()
            # A connected client is still answered, by the predecessor.
            client.send(query("www.example", "A"))
            assert client.receive()
        assert server.process.wait(PATIENCE) == 0
        assert "stopped: the successor serves server0" in server.log()
        assert attached(lab.server) not in (None, program)
        assert new_server.status()["queues"][str(QUEUE)]["rx"] > 0
        with lab.client.entered(), TcpClient((lab.server.ipv4, 53)) as other:
            other.send(query("www.example", "A"))
            assert other.receive()
        # And again: what was taken over can be handed over.
        third = write_config(tmp_path / "third")
        successors.enter_context(successor(new_server, third))
        assert new_server.process.wait(PATIENCE) == 0, new_server.log()
        load.wait_for_more()
    assert attached(lab.server) is None


@pytest.mark.parametrize("words", [[], [{"ready": [QUEUE]}]])
def test_a_successor_that_goes_away(
    lab: Lab, tmp_path: Path, words: list[dict[str, list[int]]]
) -> None:
    async def ask() -> None:
        wire = Wire(connection, MOST_DESCRIPTORS)
        await wire.send({"verb": "takeover"})
        facts = await wire.receive(PATIENCE)
        assert facts is not None and facts["layout"] == LAYOUT
        for word in words:
            await wire.send(word)
            await anyio.wait_readable(wire.descriptors[2])
        wire.close()

    with serving(lab, tmp_path) as server, loaded(lab) as load:
        for times in (1, 2):
            with lab.server.entered():
                connection = control_client.connect(server.ifname)
            anyio.run(ask)
            eventually(lambda n=times: server.log().count(KEPT) == n, "the log")
            load.wait_for_more()


def test_a_queue_that_the_successor_does_not_want(lab: Lab, tmp_path: Path) -> None:
    other = write_config(tmp_path / "other", CONFIG.replace("[2]", "[0, 3]"))
    # The slow path answers there then: at a lower rate, and on the queue the requests came from.
    lab.server.send_on_queue(QUEUE, QUEUES)
    with ExitStack() as successors, serving(lab, tmp_path) as server, loaded(lab, 20_000) as load:
        new_server = successors.enter_context(successor(server, other))
        assert server.process.wait(PATIENCE) == 0, server.log()
        load.wait_for_more()
        assert set(new_server.status()["queues"]) == {"0", "3"}


def test_a_program_that_is_taken_off_the_successor(lab: Lab, tmp_path: Path) -> None:
    with ExitStack() as successors, serving(lab, tmp_path) as server, loaded(lab) as load:
        new_server = successors.enter_context(successor(server))
        assert server.process.wait(PATIENCE) == 0, server.log()
        load.wait_for_more()
        load.flushed_rings += 1
        detach_link(lab)
        words = "detached the XDP program from server0"
        eventually(lambda: words in new_server.log(), "the log")
        assert attached(lab.server)
        load.wait_for_more()
        assert new_server.log().count("detached the XDP program from") == 1


def test_a_link_that_is_detached_during_the_handover(lab: Lab, tmp_path: Path) -> None:
    """Before either has noticed: whoever serves in the end restores the program."""

    async def ask() -> None:
        wire = Wire(connection, MOST_DESCRIPTORS)
        await wire.send({"verb": "takeover"})
        assert await wire.receive(PATIENCE)
        # The program is not being watched now.
        load.flushed_rings += 1
        await anyio.to_thread.run_sync(detach_link, lab)
        wire.close()

    with serving(lab, tmp_path) as server, loaded(lab) as load:
        with lab.server.entered():
            connection = control_client.connect(server.ifname)
        anyio.run(ask)
        eventually(lambda: "detached the XDP program from server0" in server.log(), "the log")
        assert server.log().count(KEPT) == 1
        assert attached(lab.server)
        load.wait_for_more()


def test_nobody_to_take_over_from(lab: Lab, tmp_path: Path) -> None:
    server = Server(lab.server, write_config(tmp_path), more=("--takeover",))
    try:
        assert attached(lab.server) is not None
        assert server.stop() == 0, server.log()
    finally:
        server.kill()
    assert attached(lab.server) is None


def test_another_layout_is_a_restart(lab: Lab, tmp_path: Path) -> None:
    """An instance of another version stops first; the gap is logged."""

    async def old_instance() -> None:
        async def give(connection: socket.socket, _: str | None) -> None:
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
            assert "restarted, not taken over: its handover layout" in server.log()
            assert server.stop() == 0, server.log()
        finally:
            server.kill()


def test_a_real_restart(lab: Lab, tmp_path: Path) -> None:
    """The old program was there when the successor first looked, and is no obstacle."""
    other = (sys.executable, str(Path(__file__).with_name("other_layout.py")))
    server = Server(lab.server, write_config(tmp_path), program=other)
    try:
        program = attached(lab.server)
        assert program is not None
        with successor(server) as new_server:
            assert server.process.wait(PATIENCE) == 0, server.log()
            assert "stopped: server0 is the kernel's again" in server.log()
            assert "restarted, not taken over: its handover layout" in new_server.log()
            assert new_server.log().count("nothing was answered for") == 1
            assert attached(lab.server) not in (None, program)
            with loaded(lab) as load:
                load.flushed_rings += 1
                detach_link(lab)
                eventually(lambda: "detached the XDP program from" in new_server.log(), "the log")
                load.wait_for_more()
    finally:
        server.kill()
    assert attached(lab.server) is None
