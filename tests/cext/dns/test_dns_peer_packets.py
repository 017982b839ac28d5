"""Requests that servers disagree about most, asked of knotd and nsd too."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from dns_bytes_call import HEAD, BytesCall
from dnsdiff import servers, signing
from required import missing

ZONES = {
    "w.test": HEAD + "ns1 A 192.0.2.1\n",
    "glue.test": HEAD
    + "ns1 A 192.0.2.1\n"
    + "".join(
        f"net NS s{i}.net\ns{i}.net A 192.0.2.{i}\ns{i}.net AAAA 2001:db8::{i}\n"
        for i in range(1, 14)
    ),
    "loop.test": HEAD + "ns1 A 192.0.2.1\n*.a CNAME *.a\n*.c CNAME q.c\n",
}
OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)
TSIG_DATA = b"\x0bhmac-sha256\0" + struct.pack("!HIHH", 0, 0x6553F100, 300, 32) + bytes(32)
TSIG_DATA += struct.pack("!HHH", 0x1234, 0, 0)
TSIG = b"\3foo\0" + struct.pack("!HHIH", 250, 255, 0, len(TSIG_DATA)) + TSIG_DATA
SOA_DATA = b"\0\0" + struct.pack("!5I", 1, 2, 3, 4, 5)
SOA = b"\xc0\x0c" + struct.pack("!HHIH", 6, 1, 500, len(SOA_DATA)) + SOA_DATA


def message(name: bytes, kind: int, *records: bytes, authority: int = 0) -> bytes:
    counts = (1, 0, authority, len(records) - authority)
    return (
        struct.pack("!6H", 0x1234, 0, *counts)
        + name
        + struct.pack("!HH", kind, 1)
        + b"".join(records)
    )


W = b"\3ns1\1w\4test\0"
PACKETS = {
    "signed": message(W, 1, TSIG),
    "signed, with an OPT": message(W, 1, OPT, TSIG),
    "a signed transfer": message(W[4:], 252, TSIG),
    "a signature that is not last": message(W, 1, TSIG, OPT),
    "two signatures": message(W, 1, TSIG, TSIG),
    "IXFR": message(W[4:], 251, SOA, authority=1),
    "a referral that does not fit": message(b"\3www\3net\4glue\4test\0", 1),
    "a wildcard that leads to itself": message(b"\1k\1a\4loop\4test\0", 1),
    "a wildcard that leads below itself": message(b"\1k\1c\4loop\4test\0", 1),
}
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
    programs = {name: signing.program(name) for name in ("knotd", "nsd")}
    if not all(programs.values()):
        missing("no knotd or nsd: vagrant/provision.sh test installs them")
    found = {name: path for name, path in programs.items() if path}
    with servers.peers(found, directory / "zones", ZONES, message(W, 1)) as running:
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
