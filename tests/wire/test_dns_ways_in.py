"""Plain and signed zones through the ring, the slow path and TCP: same answers as the bytes call.

test_dns_differential.py compares the bytes call's answers with knotd's and nsd's, for the same
questions. One in ten has bytes changed or is truncated, so most of these are refused.

environment:
  XDPKIT_DIFF_QUERIES  number of questions per way in (default 4000, a few seconds)
  XDPKIT_DIFF_SEED     selects other questions (default 1)
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from dns_asking import MOST_OPEN, tcp_replies, udp_asker
from dnsdiff import signing
from dnsdiff.questions import questions
from dnsdiff.zone_sets import USUAL
from serving import QUEUES, WAYS_IN, Server, bytes_call, eventually
from tcp_serving import connect

from xdpkit._core._answer import answer
from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

COUNT = int(os.environ.get("XDPKIT_DIFF_QUERIES", "4000"))
SEED = int(os.environ.get("XDPKIT_DIFF_SEED", "1"))
CHUNK = 1000


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    signing.programs("dnssec-signzone")
    directory = tmp_path_factory.mktemp("server")
    signing.write(directory / "zones")
    return directory


@lru_cache
def corpus() -> list[bytes]:
    """The questions as messages, some of them corrupted."""
    chance = random.Random(SEED)
    return [
        corrupt(chance, question.wire()) if chance.random() < 0.1 else question.wire()
        for question in questions(USUAL, SEED, COUNT)
    ]


def corrupt(chance: random.Random, message: bytes) -> bytes:
    """The message with bytes after the ID changed, or truncated."""
    data = bytearray(message)
    for _ in range(chance.randrange(1, 4)):
        data[chance.randrange(2, len(data))] = chance.randrange(256)
    return bytes(data[: chance.choice((len(data), len(data), chance.randrange(2, len(data))))])


@lru_cache
def expected(directory: Path, client: str, tcp: bool) -> list[bytes | None]:
    """The bytes call's replies to all of them."""
    snapshot = bytes_call(directory, 0)
    return [
        answer(snapshot, "dns", message, source=(client, 40000), tcp=tcp)[1] for message in corpus()
    ]


def chunks() -> Iterator[slice]:
    for first in range(0, COUNT, CHUNK):
        yield slice(first, first + CHUNK)


def compare(messages: list[bytes], replies: list[bytes | None], wanted: list[bytes | None]) -> None:
    for message, reply, want in zip(messages, replies, wanted, strict=True):
        assert reply == want, message.hex()


@pytest.mark.timeout(200 + COUNT / 200)
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_udp(lab: Lab, server: Server, directory: Path, way_in: str, family: int) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    want = expected(directory, lab.client.ipv4 if family == 4 else lab.client.ipv6, False)
    before = server.answers_by(way_in)
    with udp_asker(lab, family) as asker:
        for chunk in chunks():
            compare(corpus()[chunk], asker.replies(corpus()[chunk]), want[chunk])
    sentinels = sum(-(-len(corpus()[chunk]) // MOST_OPEN) for chunk in chunks())
    answered = COUNT - want.count(None) + sentinels
    eventually(lambda: server.answers_by(way_in) == before + answered, f"{way_in}'s counters")
    assert 0 < want.count(None) < COUNT / 10


@pytest.mark.timeout(200 + COUNT / 200)
@pytest.mark.parametrize("family", [4, 6])
def test_tcp(lab: Lab, server: Server, directory: Path, family: int) -> None:
    """All but those without a reply, which would end the connection."""
    want = expected(directory, lab.client.ipv4 if family == 4 else lab.client.ipv6, True)
    for chunk in chunks():
        pairs = [pair for pair in zip(corpus()[chunk], want[chunk], strict=True) if pair[1]]
        messages = [message for message, _ in pairs]
        with connect(lab, family) as client:
            compare(messages, list(tcp_replies(client, messages)), [reply for _, reply in pairs])
    assert max(len(reply or b"") for reply in want) > 1 << 14, "no pointer reaches further"
