"""Requests that servers disagree about most, asked of knotd and nsd too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from dns_bytes_call import BytesCall
from dns_cases import PACKETS, ZONES, W, message
from dnsdiff import servers, signing

DIFFERENT = {
    # Of transfers, knotd says NOTAUTH without an address list, and NOTIMP over UDP.
    ("IXFR", "knotd"), ("a signed transfer", "knotd"),
    # nsd leaves out what does not fit of the glue, and does not set TC: RFC 9471 says otherwise.
    ("a referral that does not fit", "nsd"),
    # nsd leaves the question out.
    ("signed", "nsd"), ("signed, with an OPT", "nsd"), ("a signed transfer", "nsd"),
}  # fmt: skip


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packets")


@pytest.fixture(scope="module")
def call(directory: Path) -> BytesCall:
    return BytesCall(directory / "zones", ZONES)


@pytest.fixture(scope="module")
def peers(directory: Path, call: BytesCall) -> Iterator[dict[str, servers.Peer]]:
    programs = signing.programs("knotd", "nsd")
    with servers.peers(programs, directory / "zones", ZONES, message(W, 1)) as running:
        yield running


def seen(reply: bytes) -> tuple[object, ...]:
    """What a client gets to know, whatever the order and the compression."""
    parsed = dns.message.from_wire(reply, keyring=False)
    sections = [
        sorted(f"{r.name} {dns.rdatatype.to_text(r.rdtype)} {d}" for r in section for d in r)
        for section in (parsed.answer, parsed.authority)
    ]
    tsig = parsed.tsig and (parsed.tsig.name, parsed.tsig[0].error, parsed.tsig[0].mac)
    flags = parsed.flags & (dns.flags.AA | dns.flags.TC)
    additional = sum(map(len, parsed.additional))
    return parsed.rcode(), flags, parsed.edns, tsig, parsed.question, sections, additional


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("case", PACKETS)
def test_as_the_peers(
    call: BytesCall, peers: dict[str, servers.Peer], case: str, tcp: bool
) -> None:
    _, ours = call.send(PACKETS[case], tcp=tcp)
    assert ours is not None
    for name, peer in peers.items():
        (theirs,) = (peer.tcp if tcp else peer.udp)([PACKETS[case]])
        if (case, name) in DIFFERENT:
            assert name == "knotd" or ours[3] & 15 == theirs[3] & 15
        elif ours[3] & 15 == dns.rcode.FORMERR:
            # Whether the question is in it is up to the server.
            assert theirs[3] & 15 == dns.rcode.FORMERR
        else:
            assert seen(ours) == seen(theirs), name


def test_all_refuse_a_transfer(call: BytesCall, peers: dict[str, servers.Peer]) -> None:
    replies = [
        call.send(PACKETS["IXFR"])[1],
        *(p.udp([PACKETS["IXFR"]])[0] for p in peers.values()),
    ]
    codes = [dns.rcode.Rcode(reply[3] & 15) for reply in replies if reply]
    assert codes == [dns.rcode.REFUSED, dns.rcode.NOTAUTH, dns.rcode.REFUSED]
