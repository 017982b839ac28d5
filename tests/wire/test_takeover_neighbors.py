"""A takeover beside other things: metrics, another user, many addresses, a reload, a signal."""

from __future__ import annotations

from pathlib import Path
from urllib.request import urlopen

import pytest
from serving import (
    CONFIG,
    PATIENCE,
    eventually,
    serving,
)
from steady import SteadyClient
from taking_over import (
    SILENCE,
    as_server,
    check_the_ring_answers,
    faulty_successor,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

METRICS = CONFIG + '[metrics]\nlisten = "127.0.0.1:9153"\n'


def scrape(lab: Lab) -> str:
    with lab.server.entered():
        return urlopen("http://127.0.0.1:9153/metrics", timeout=PATIENCE).read().decode()


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_metrics_are_taken_over(lab: Lab, tmp_path: Path, family: str) -> None:
    address = getattr(lab.server, family)
    with serving(lab, tmp_path, METRICS) as server, SteadyClient(lab, address=address) as client:
        client.wait_for_more()
        assert "xdpkit_up_seconds" in scrape(lab)
        with faulty_successor(server, "", "SIGCONT") as successor:
            assert server.process.wait(PATIENCE) == 0, server.log() + successor.log()
            successor.wait_for_log("stop with SIGTERM")
            eventually(lambda: "xdpkit_up_seconds" in scrape(lab), "metrics")
            check_the_ring_answers(as_server(successor, server), client)
            client.finish()
            assert successor.stop() == 0
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()
