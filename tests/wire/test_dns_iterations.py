"""A zone of more NSEC3 iterations than the default allows, beside servers that always serve it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from dns_asking import udp_asker
from dnsdiff import servers, signing
from serving import DNS, QUEUES, WAYS_IN, Server
from tcp_serving import connect

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

CONFIG = f"""
[interface]
name = "server0"
queues = [2]
{DNS}
max_nsec3_iterations = 150
"""

ZONE = """\
$TTL 300
@ SOA ns1 hostmaster 1 7200 3600 1209600 60
@ NS ns1
ns1 A 192.0.2.1
a.b.c A 192.0.2.2
*.wild TXT "any"
cut NS ns.elsewhere.test.
alias CNAME missing
"""

NAMES = ("ns1", "missing", "x.y.a.b.c", "b.c", "x.wild", "x.cut", "cut", "alias", "\\000.ns1")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    signing.programs("dnssec-signzone")
    directory = tmp_path_factory.mktemp("server")
    (directory / "zones").mkdir()
    (directory / "zones" / "n3.test.zone").write_text(ZONE)
    signing.sign(directory / "zones", "n3.test", ("-3", "-", "-H", "100"))
    for key in (directory / "zones").glob("K*"):
        key.unlink()
    return directory


@pytest.fixture(scope="module")
def peers(directory: Path) -> Iterator[dict[str, servers.Peer]]:
    programs = signing.programs("knotd", "nsd", "named")
    probe = dns.message.make_query("ns1.n3.test", "A").to_wire()
    with servers.peers(programs, directory / "zones", ["n3.test"], probe) as running:
        yield running


def requests() -> list[bytes]:
    return [
        dns.message.make_query(f"{name}.n3.test", kind, want_dnssec=True, payload=1232).to_wire()
        for name in NAMES
        for kind in ("A", "TXT", "DS")
    ]


def seen(reply: bytes) -> tuple[object, ...]:
    """Code, flags, and the records of answer and authority: the proofs are there."""
    message = dns.message.from_wire(reply)
    sections = [
        sorted(f"{rrset.name} {rrset.rdtype} {each}" for rrset in section for each in rrset)
        for section in (message.answer, message.authority)
    ]
    if not message.authority or message.authority[0].rdtype == dns.rdatatype.NS:
        # nsd adds the apex's NS records to answers, and all differ in what a referral proves.
        sections[1] = []
    return message.rcode(), message.flags & dns.flags.AA, sections


def check(replies: list[bytes], peers: dict[str, servers.Peer]) -> None:
    hashed = 0
    theirs = {name: peer.udp(requests()) for name, peer in peers.items()}
    for number, (request, reply) in enumerate(zip(requests(), replies, strict=True)):
        others = {name: seen(found[number]) for name, found in theirs.items()}
        assert seen(reply) in others.values(), (dns.message.from_wire(request), others)
        hashed += b"\x00\x32\x00\x01" in reply
    assert hashed > len(replies) / 2


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("way_in", WAYS_IN)
def test_over_udp(
    lab: Lab, server: Server, peers: dict[str, servers.Peer], way_in: str, family: int
) -> None:
    lab.client.send_on_queue(WAYS_IN[way_in], QUEUES)
    before = server.answers_by(way_in)
    with udp_asker(lab, family) as asker:
        replies = asker.replies(requests())
    check([reply for reply in replies if reply], peers)
    assert server.answers_by(way_in) >= before + len(replies)


def test_over_tcp(lab: Lab, server: Server, peers: dict[str, servers.Peer]) -> None:
    with connect(lab) as client:
        replies = [client.ask(request)[0] for request in requests()]
    check(replies, peers)
