"""Faults of the interface and the program on it while requests arrive."""

from __future__ import annotations

from pathlib import Path

import pytest
from loading import generator, load_on, send_all, under_way
from programs import detach_link
from serving import (
    PATIENCE,
    QUEUE,
    WWW,
    XDPKIT,
    Server,
    attached,
    eventually,
    look_up,
    serving,
    write_config,
)

from xdpkit._core._snapshot import SharedSnapshot, Snapshot
from xdpkit.config import InterfaceConfig
from xdpkit.dataplane.attach import attach
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.lab.namespaces import Lab
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.device import Device
from xdpkit.nic.setup.journal import Journal, Owner

pytestmark = pytest.mark.netns


@pytest.fixture
def own_server(lab: Lab, tmp_path: Path) -> Server:
    with serving(lab, tmp_path) as server:
        yield server


def answers_again(lab: Lab, server: Server) -> None:
    """Checks that the ring answers again, without a fault."""
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        before = server.answers_by("ring")
        counters = send_all(requests, 1000)
        assert counters["answered"] == counters["sent"]
        assert server.answers_by("ring") > before


def test_a_program_that_was_taken_off_is_put_back(lab: Lab, own_server: Server) -> None:
    lab.server.send_on_queue(QUEUE, 4)
    with load_on(lab, [QUEUE]) as load:
        requests = generator(lab, load, QUEUE, "ntp", 4)
        with under_way(requests, 10_000):
            for times in (1, 2):
                eventually(lambda: attached(lab.server), "the program")
                detach_link(lab)
                words = "detached the XDP program from server0"
                eventually(lambda n=times, w=words: own_server.log().count(w) == n, "the log")
                eventually(lambda: attached(lab.server), "the program")
        counters = requests.counters()
    # In between, the slow path answered.
    assert counters["answered"] == counters["sent"]
    answers_again(lab, own_server)


def test_nobody_took_the_program_off_an_interface_that_is_gone(tmp_path: Path) -> None:
    config = InterfaceConfig("server0", (QUEUE,), rx_timestamps="xdp")
    with Lab() as lab, lab.server.entered():
        interface, device = lab.server.interface(), Device("server0")
        journal = Journal(tmp_path / "journal", Owner.me("server0", device.identity()))
        held = attach(config, interface, Changes(device, journal))
        try:
            dataplane = DataPlane(
                interface, held, config, None, SharedSnapshot(Snapshot({"ntp": 123}))
            )
            detach_link(lab)
            assert "it is on again" in (dataplane.reattach() or "")
            assert dataplane.reattach() is None
            assert lab.server.run("ip", "link", "delete", "server0").returncode == 0
            assert dataplane.reattach() is None
        finally:
            held.close()


def test_an_interface_that_is_made_again(tmp_path: Path) -> None:
    """The process ends; its service manager's next start waits for the interface."""
    path = write_config(tmp_path)
    with Lab() as lab:
        first = Server(lab.server, path, more=("--wait",))
        assert lab.server.run("ip", "link", "delete", "server0").returncode == 0
        assert first.process.wait(PATIENCE) == 1
        assert "server0 is gone" in first.log()
        (tmp_path / "again").mkdir()
        log = tmp_path / "again" / "log"
        with log.open("w") as words:
            argv = (XDPKIT, "run", "--wait", "-c", str(path))
            process = lab.server.popen(*argv, stderr=words)
        eventually(lambda: "server0 is missing: waiting for it" in log.read_text(), "the wait")
        lab.join()
        eventually(lambda: "stop with SIGTERM" in log.read_text(), "the start")
        assert look_up(lab.client) == [WWW]
        assert log.read_text().count("waiting for it") == 1
        process.terminate()
        assert process.wait(PATIENCE) == 0
