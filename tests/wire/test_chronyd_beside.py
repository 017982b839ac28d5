"""A chronyd on this host, a client with our address and source port 123, still gets replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import chronyd_server, measured_offset
from serving import CONFIG, QUEUES, Server, eventually, serving

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

WITHOUT_SLOW_PATH = CONFIG.replace("queues", "slow_path = false\nqueues")


@pytest.fixture(scope="module")
def upstream(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chronyd in the client namespace, the source of the one next to xdpkit."""
    with chronyd_server(lab.client, tmp_path_factory.mktemp("upstream")):
        yield lab.client.ipv4


def offset_beside(lab: Lab, upstream: str, directory: Path, *more: str) -> float | None:
    """The offset that a chronyd in the server's namespace measures; None if it hears nothing."""
    source = f"server {upstream} iburst maxsamples 1"
    return measured_offset(lab.server, directory, source, "port 0", *more, limit=5)


@pytest.fixture(scope="class")
def bare(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An instance without a slow path: the other queues belong to the kernel's sockets."""
    with serving(lab, tmp_path_factory.mktemp("bare"), WITHOUT_SLOW_PATH) as server:
        yield server


@pytest.mark.parametrize("queue", range(QUEUES))
class TestWithoutTheSlowPath:
    """xdpkit serves NTP on the same address, from the ring only."""

    def test_wildcard_port(
        self, lab: Lab, bare: Server, upstream: str, tmp_path: Path, queue: int
    ) -> None:
        lab.client.send_on_queue(queue, QUEUES)
        before = bare.status()["xdp"][str(queue)].get("ntp_not_request", 0)
        offset = offset_beside(lab, upstream, tmp_path, "acquisitionport 123")
        assert offset is not None
        assert abs(offset) < 1
        assert bare.status()["xdp"][str(queue)]["ntp_not_request"] > before


@pytest.mark.parametrize("queue", range(QUEUES))
class TestBesideTheSlowPath:
    """The UDP listener has a socket on that address and port as well."""

    def test_bound_to_the_address(
        self, lab: Lab, server: Server, upstream: str, tmp_path: Path, queue: int
    ) -> None:
        lab.client.send_on_queue(queue, QUEUES)
        bound = ("acquisitionport 123", f"bindacqaddress {lab.server.ipv4}")
        before = server.status()["xdp"][str(queue)].get("ntp_not_request", 0)
        offset = offset_beside(lab, upstream, tmp_path, *bound)
        assert offset is not None
        assert abs(offset) < 1
        assert server.status()["xdp"][str(queue)]["ntp_not_request"] > before

    def test_any_port(
        self, lab: Lab, server: Server, upstream: str, tmp_path: Path, queue: int
    ) -> None:
        lab.client.send_on_queue(queue, QUEUES)
        offset = offset_beside(lab, upstream, tmp_path)
        assert offset is not None
        assert abs(offset) < 1


def test_wildcard_port_beside_the_slow_path(
    lab: Lab, server: Server, upstream: str, tmp_path: Path
) -> None:
    """The kernel prefers the slow path's socket to a wildcard one, so ours yields, and says so."""
    assert offset_beside(lab, upstream, tmp_path, "acquisitionport 123") is not None
    eventually(
        lambda: not server.status()["slow_path"]["udp"]["left_to_others"], "NTP is taken up again"
    )
