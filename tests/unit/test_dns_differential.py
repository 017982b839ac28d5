"""Debian's knotd and nsd get the same zones and questions: no difference without a reason.

XDPKIT_DIFF_QUERIES asks more of them, XDPKIT_DIFF_SEED others; the reasons are in
dnsdiff/rules.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dns.message
import pytest
from dns_signed import SignedZones
from dnsdiff import servers, signing
from dnsdiff.compare import LARGEST, difference, squeezed, used
from dnsdiff.questions import Question, questions
from dnsdiff.rules import RULES
from dnsdiff.seen import read
from dnsdiff.zones import texts

COUNT = int(os.environ.get("XDPKIT_DIFF_QUERIES", "5000"))
SEED = int(os.environ.get("XDPKIT_DIFF_SEED", "1"))
BLOCK = 2000

MANY = 50_000
"""So many questions meet every difference there is."""


@dataclass
class Stand:
    """Three servers with the same zones."""

    ours: SignedZones
    peers: dict[str, servers.Ask]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    found = {name: signing.program(name) for name in ("knotd", "nsd", "dnssec-signzone")}
    lost = [name for name, path in found.items() if path is None]
    if lost:
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing(f"no {', '.join(lost)}: vagrant/provision.sh test brings them")
    directory = tmp_path_factory.mktemp("differential")
    ours = SignedZones(directory)
    probe = dns.message.make_query("plain.test", "SOA").to_wire()
    programs = {name: path for name, path in found.items() if path and name != "dnssec-signzone"}
    with servers.peers(programs, ours.zones, list(texts()), probe) as peers:
        yield Stand(ours, peers)


def wide(question: Question) -> Question:
    """The same with all the room there is."""
    return replace(question, size=LARGEST)


@pytest.mark.timeout(120 + COUNT // 50)
def test_no_difference_without_a_reason(stand: Stand) -> None:
    asked = list(questions(SEED, COUNT))
    wrong: list[str] = []
    for first in range(0, COUNT, BLOCK):
        block = asked[first : first + BLOCK]
        wrong += compared(stand, block) + compared_narrow(stand, block)
        if len(wrong) > 20:
            break
    assert not wrong, "\n".join(wrong[:20])
    if COUNT >= MANY:
        rules = {(peer, rule.__name__) for peer, found in RULES.items() for rule in found}
        assert rules == used, "a rule that explains nothing"


def compared(stand: Stand, block: list[Question]) -> list[str]:
    """With all the room there is: the records."""
    block = [wide(question) for question in block]
    requests = [question.wire() for question in block]
    ours = [read(reply) for reply in stand.ours.ask(requests)]
    found = [
        difference(name, question, mine, read(theirs), ask)
        for name, ask in stand.peers.items()
        for question, mine, theirs in zip(block, ours, ask(requests), strict=True)
    ]
    return [each for each in found if each]


def compared_narrow(stand: Stand, block: list[Question]) -> list[str]:
    """With as little room as the question says: TC, and what is left out."""
    block = [question for question in block if question != wide(question)]
    requests = [question.wire() for question in block]
    whole = [read(reply) for reply in stand.ours.ask([wide(q).wire() for q in block])]
    ours = [read(reply) for reply in stand.ours.ask(requests)]
    found = [
        squeezed(*each)
        for ask in stand.peers.values()
        for each in zip(block, whole, ours, ask(requests), strict=True)
    ]
    return [each for each in found if each]
