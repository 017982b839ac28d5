"""Zones that change repeatedly under load: nothing is lost, and no answer mixes two versions."""

from __future__ import annotations

import json
from ipaddress import ip_address
from pathlib import Path

import pytest
from loading import WINDOW, load_on, under_way
from serving import QUEUE, QUEUES, Server, eventually, interface_of, reload, write_config

from xdpkit._core._loadgen import Generator
from xdpkit.bench import versions
from xdpkit.lab.namespaces import Lab
from xdpkit.loadgen.setup import Load, request_header

pytestmark = [pytest.mark.netns, pytest.mark.timeout(400)]

CONFIG = """
[interface]
name = "server0"
queues = [2]
[dns]
zones = "zones"
watch = false
"""

# Leaves CPU time for the compiler.
RATE = 5_000
NAMES, RELOADS = 500, 10


def generator_of_versions(lab: Lab, load: Load, queue: int) -> Generator:
    """A load generator that checks that each reply is from one version."""
    macs = (interface_of(lab.client)[1], interface_of(lab.server)[1])
    addresses = (ip_address(lab.client.ipv4), ip_address(lab.server.ipv4))
    header = request_header(macs, addresses, 53)
    made = load.generator(queue, "dns", header, queries=versions.queries(NAMES))
    made.watch_versions()
    return made


@pytest.mark.parametrize("queue", [QUEUE, 1], ids=["ring", "slow path"])
def test_no_answer_of_two_versions(tmp_path: Path, queue: int) -> None:
    def write(version: int) -> None:
        path = tmp_path / "zones" / f"{versions.ORIGIN}.zone"
        path.parent.mkdir(exist_ok=True)
        path.write_text(versions.zone_text(version, NAMES))

    write(1)
    path = write_config(tmp_path, CONFIG)
    (tmp_path / "zones" / "example.zone").unlink()
    with Lab() as lab:
        # The slow path's replies return on the queue that the load generator listens on.
        lab.server.send_on_queue(queue, QUEUES)
        server = Server(lab.server, path)
        try:
            with load_on(lab, [queue]) as load:
                requests = generator_of_versions(lab, load, queue)
                with under_way(requests, RATE):
                    for version in range(2, RELOADS + 2):
                        write(version)
                        reply = json.loads(reload(lab, "--json").stdout)
                        assert reply["zones"] == {
                            versions.ORIGIN: {"serial": version, "names": NAMES + 7}
                        }
                        assert reply["zones_changed"]
                        # From the moment the reload is done.
                        sent = requests.counters()["answered"]
                        eventually(
                            lambda n=sent: requests.counters()["answered"] > n + 2 * WINDOW,
                            "answers",
                        )
                        assert requests.version == version
                counters = requests.counters()
            assert counters["sent"] > RELOADS * WINDOW
            assert counters["answered"] == counters["sent"], str(counters)
            assert [counters[fault] for fault in ("wrong", "lost", "duplicate")] == [0, 0, 0]
            # Each version came once, and none came again later.
            assert (requests.version, requests.versions) == (RELOADS + 1, RELOADS)
            assert server.stop() == 0
        finally:
            server.kill()
