"""Debian's knotd and nsd get the same zones and questions: no difference without a reason.

Each question is put over TCP, where replies are whole, and over UDP with the size that it says, to
all three. tests/netns/test_dns_ways_in.py puts the same ones to a server's doors in the network. The
reasons are in dnsdiff/rules.py. All of it, as root, in some minutes:

    XDPKIT_DIFF_QUERIES=200000 pytest tests/unit/test_dns_differential.py \\
        tests/netns/test_dns_ways_in.py

environment:
  XDPKIT_DIFF_QUERIES  how many questions (default 5000, some seconds)
  XDPKIT_DIFF_SEED     others (default 1)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import dns.message
import pytest
from dns_signed import SignedZones
from dnsdiff import servers, signing
from dnsdiff.compare import difference, narrow_difference, squeezed, used
from dnsdiff.questions import Question, corners, questions
from dnsdiff.rules import ONE_RELEASE, RULES
from dnsdiff.seen import read
from dnsdiff.worlds import BELOW_ROOT, USUAL
from required import missing

COUNT = int(os.environ.get("XDPKIT_DIFF_QUERIES", "5000"))
SEED = int(os.environ.get("XDPKIT_DIFF_SEED", "1"))
BLOCK = 1000

WORLDS = {"usual": (USUAL, COUNT - COUNT // 10), "below-root": (BELOW_ROOT, COUNT // 10)}
"""Each with the number of its questions."""

MANY = 50_000
"""So many questions meet every difference there is."""


@dataclass
class Stand:
    """Three servers with the same zones."""

    ours: SignedZones
    peers: dict[str, servers.Peer]


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def stand(world: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    found = {name: signing.program(name) for name in ("knotd", "nsd", "dnssec-signzone")}
    lost = [name for name, path in found.items() if path is None]
    if lost:
        missing(f"no {', '.join(lost)}: vagrant/provision.sh test brings them")
    directory = tmp_path_factory.mktemp("differential")
    zones = WORLDS[world][0]
    ours = SignedZones(directory, world=zones)
    probe = dns.message.make_query(zones.origins[-1], "SOA").to_wire()
    programs = {name: path for name, path in found.items() if path and name != "dnssec-signzone"}
    with servers.peers(programs, ours.zones, zones.texts, probe) as peers:
        yield Stand(ours, peers)


@pytest.mark.timeout(120 + COUNT // 50)
def test_no_difference_without_a_reason(world: str, stand: Stand) -> None:
    zones, count = WORLDS[world]
    asked = [*corners(zones), *questions(zones, SEED, count)]
    wrong: list[str] = []
    for first in range(0, len(asked), BLOCK):
        wrong += compared(stand, asked[first : first + BLOCK])
        if len(wrong) > 20:
            break
    assert not wrong, "\n".join(wrong[:20])


def compared(stand: Stand, block: list[Question]) -> list[str]:
    """What is wrong with the replies to these."""
    requests = [question.wire() for question in block]
    whole = [read(reply) for reply in stand.ours.ask(requests, tcp=True)]
    sent = [read(reply) for reply in stand.ours.ask(requests)]
    found = [squeezed(*each) for each in zip(block, whole, sent, strict=True)]
    for name, peer in stand.peers.items():
        theirs = [read(reply) for reply in peer.tcp(requests)]
        found += [
            difference(name, question, mine, other, peer.tcp)
            for question, mine, other in zip(block, whole, theirs, strict=True)
        ]
        theirs = [read(reply) for reply in peer.udp(requests)]
        found += [
            narrow_difference(name, *seen, peer.tcp)
            for seen in zip(block, whole, sent, theirs, strict=True)
        ]
    return [each for each in found if each]


@pytest.mark.skipif(COUNT < MANY, reason=f"fewer than {MANY} questions")
def test_every_rule_is_needed() -> None:
    rules = {(peer, rule.__name__) for peer, found in RULES.items() for rule in found}
    assert rules - used <= ONE_RELEASE, "a rule that explains nothing"
