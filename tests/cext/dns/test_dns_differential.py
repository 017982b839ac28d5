"""Debian's knotd and nsd get the same zones and questions: no unexplained difference.

Each question goes to all three servers over TCP, where replies are complete, and over UDP with the
size that it states. tests/wire/test_dns_ways_in.py sends the same ones to a server's ways in on the
network. The explanations are in dnsdiff/rules.py. A full run, as root, takes a few minutes:

    XDPKIT_DIFF_QUERIES=200000 pytest tests/cext/dns/test_dns_differential.py \\
        tests/wire/test_dns_ways_in.py

environment:
  XDPKIT_DIFF_QUERIES  number of questions (default 5000, a few seconds)
  XDPKIT_DIFF_SEED     random seed (default 1)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import dns.message
import pytest
from dns_signed import SignedZones
from dnsdiff import servers, signing
from dnsdiff.compare import difference, udp_difference, udp_error, used
from dnsdiff.questions import Question, corners, questions
from dnsdiff.rules import ONE_RELEASE, RULES
from dnsdiff.seen import read
from dnsdiff.zone_sets import BELOW_ROOT, USUAL

COUNT = int(os.environ.get("XDPKIT_DIFF_QUERIES", "5000"))
SEED = int(os.environ.get("XDPKIT_DIFF_SEED", "1"))
BLOCK = 1000

ZONE_SETS = {"usual": (USUAL, COUNT - COUNT // 10), "below-root": (BELOW_ROOT, COUNT // 10)}
"""Each with its number of questions."""

MANY = 50_000
"""This many questions hit every known difference."""


@dataclass
class PeerTestbed:
    """Three servers with the same zones."""

    ours: SignedZones
    peers: dict[str, servers.Peer]


@pytest.fixture(scope="module", params=ZONE_SETS)
def zone_set(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def testbed(zone_set: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeerTestbed]:
    signing.programs("dnssec-signzone")
    programs = signing.programs("knotd", "nsd")
    directory = tmp_path_factory.mktemp("differential")
    zones = ZONE_SETS[zone_set][0]
    ours = SignedZones(directory, zone_set=zones)
    probe = dns.message.make_query(zones.origins[-1], "SOA").to_wire()
    with servers.peers(programs, ours.zones, zones.texts, probe) as peers:
        yield PeerTestbed(ours, peers)


@pytest.mark.timeout(120 + COUNT // 50)
def test_no_unexplained_difference(zone_set: str, testbed: PeerTestbed) -> None:
    zones, count = ZONE_SETS[zone_set]
    asked = [*corners(zones), *questions(zones, SEED, count)]
    wrong: list[str] = []
    for first in range(0, len(asked), BLOCK):
        wrong += differences(testbed, asked[first : first + BLOCK])
        if len(wrong) > 20:
            break
    assert not wrong, "\n".join(wrong[:20])


def differences(testbed: PeerTestbed, block: list[Question]) -> list[str]:
    """Errors in the replies to these questions."""
    requests = [question.wire() for question in block]
    whole = [read(reply) for reply in testbed.ours.ask(requests, tcp=True)]
    sent = [read(reply) for reply in testbed.ours.ask(requests)]
    found = [udp_error(*each) for each in zip(block, whole, sent, strict=True)]
    for name, peer in testbed.peers.items():
        theirs = [read(reply) for reply in peer.tcp(requests)]
        found += [
            difference(name, question, mine, other, peer.tcp)
            for question, mine, other in zip(block, whole, theirs, strict=True)
        ]
        theirs = [read(reply) for reply in peer.udp(requests)]
        found += [
            udp_difference(name, *seen, peer.tcp)
            for seen in zip(block, whole, sent, theirs, strict=True)
        ]
    return [each for each in found if each]


@pytest.mark.skipif(COUNT < MANY, reason=f"fewer than {MANY} questions")
def test_every_rule_is_needed() -> None:
    rules = {(peer, rule.__name__) for peer, found in RULES.items() for rule in found}
    assert rules - used <= ONE_RELEASE, "a rule that explains nothing"
