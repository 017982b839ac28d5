"""Successors that lie, stop answering or go away at each message: the instance serves on."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import Server, eventually
from steady import SteadyClient
from taking_over import SILENCE, check_the_ring_answers, fake_successor, wait_until_kept

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

LIES = {
    "nothing": (),
    "close": ("close",),
    "empty": ("facts", "send={}"),
    "number": ("facts", 'send={"ready": 5}'),
    "strings": ("facts", 'send={"ready": ["x"]}'),
    "true": ("facts", 'send={"ready": [true]}'),
    "objects": ("facts", 'send={"ready": [{}]}'),
    "no such queue": ("facts", 'send={"ready": [99]}'),
    "twice": ("facts", 'send={"ready": [2, 2]}'),
    "no object": ("facts", "send=[]"),
    "no JSON": ("facts", "send=\x01\x02"),
    "deep": ("facts", "bytes=90000", "send="),
    "endless": ("facts", "bytes=4000000"),
    "descriptors": ("facts", "fds=20", "send={}"),
    "says more descriptors": ("facts", 'send={"ready": [2], "descriptors": 1e999}', "close"),
    "gone when parked": ("facts", 'send={"ready": [2]}', "close"),
    "serves without rings": ("facts", 'send={"ready": [2]}', 'send={"serving": true}'),
    "lies when parked": ("facts", 'send={"ready": [2]}', 'send={"serving": 1}'),
    "lies with the rings": ("facts", 'send={"ready": [2]}', "take", "send={}"),
    "gone with the rings": ("facts", 'send={"ready": [2]}', "take"),
    "hidden with the rings": ("facts", 'send={"ready": [2]}', "take", "close", "sleep"),
}


def descriptors(server: Server) -> int:
    return len(list(Path(f"/proc/{server.status()['pid']}/fd").iterdir()))


@pytest.mark.parametrize("lie", LIES)
def test_a_successor_that_lies_or_goes_away(lab: Lab, server: Server, lie: str) -> None:
    with SteadyClient(lab) as client:
        client.wait_for_more()
        already, open_before = server.status()["takeover"]["kept"], descriptors(server)
        for times in (1, 2):
            with fake_successor(lab, *LIES[lie]):
                wait_until_kept(server, already + times)
            client.wait_for_more()
        eventually(lambda: descriptors(server) == open_before, "all to be closed")
        assert not any(server.status()["faults"].values())
        assert server.status()["takeover"]["state"] == "none"
        check_the_ring_answers(server, client)
        assert "Traceback" not in server.log()
    assert (client.lost, client.silence < SILENCE) == (0, True), server.log()
