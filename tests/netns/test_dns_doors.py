"""Plain and signed zones through the ring and the kernel door: what the bytes door says.

The bytes door's answers are held against knotd's and nsd's by tests/unit/test_dns_differential.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dnsdiff import signing
from dnsdiff.questions import questions
from serving import Server, bytes_door
from test_doors import FIRST_PORT, by_network
from wire import Wire

from xdpkit.cext._answer import answer

pytestmark = pytest.mark.netns

COUNT = 1000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if signing.program("dnssec-signzone") is None:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("no dnssec-signzone: vagrant/provision.sh test installs it")
    directory = tmp_path_factory.mktemp("server")
    signing.write(directory / "zones")
    return directory


@pytest.mark.parametrize("family, queue", [(4, 1), (6, 1), (4, 2), (6, 2)])
def test_every_door_says_the_same(
    server: Server, wire: Wire, directory: Path, family: int, queue: int
) -> None:
    asked = [question.wire() for question in questions(family * 10 + queue, COUNT)]
    wire.use_queue(queue)
    replies = by_network(wire, family, "dns", asked)
    snapshot = bytes_door(directory, 0)
    client = wire.lab.client.ipv4 if family == 4 else wire.lab.client.ipv6
    for number, (request, reply) in enumerate(zip(asked, replies, strict=True)):
        _, expected = answer(snapshot, "dns", request, source=(client, FIRST_PORT + number))
        assert reply == expected, request.hex()
