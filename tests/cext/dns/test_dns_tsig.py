"""Signed requests (RFC 8945): no key is known here, so NOTAUTH, BADKEY; FORMERR if malformed."""

from __future__ import annotations

import struct
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdtypes.ANY.TSIG
import dns.tsig
import pytest
from dns_bytes_call import HEAD, BytesCall

KEY = dns.tsig.Key("foo.example", b"secret" * 6, "hmac-sha256")


@pytest.fixture
def call(tmp_path: Path) -> BytesCall:
    return BytesCall(tmp_path / "zones", {"z": HEAD + "ns1 A 192.0.2.1\n"})


def signed(kind: str = "A", key: dns.tsig.Key = KEY, **edns: int) -> bytes:
    request = dns.message.make_query("ns1.z", kind, **edns)  # type: ignore[arg-type]
    request.use_tsig(key)
    return request.to_wire()


def tsig(
    owner: bytes = b"\3foo\0",
    rdclass: int = 255,
    ttl: int = 0,
    algorithm: bytes = b"\x0bhmac-sha256\0",
    mac: bytes = bytes(32),
    other: bytes = b"",
) -> bytes:
    """A TSIG record, with what may be wrong in it."""
    rdata = algorithm + struct.pack("!HIHH", 0, 0x6553F100, 300, len(mac)) + mac
    rdata += struct.pack("!HHH", 0x4321, 0, len(other)) + other
    return owner + struct.pack("!HHIH", 250, rdclass, ttl, len(rdata)) + rdata


def message(*records: bytes, authority: int = 0) -> bytes:
    counts = (1, 0, authority, len(records) - authority)
    return struct.pack("!6H", 0x1234, 0x100, *counts) + b"\3ns1\1z\0\0\1\0\1" + b"".join(records)


OPT = b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


@pytest.mark.parametrize("kind", ["A", "AXFR", "IXFR"])
@pytest.mark.parametrize("edns", [-1, 0, 1])
def test_an_unknown_key(call: BytesCall, kind: str, edns: int) -> None:
    request = signed(kind, use_edns=edns)
    verdict, reply = call.send(request)
    assert verdict == "dns_badkey" and reply is not None
    with pytest.raises(dns.tsig.PeerBadKey):
        dns.message.from_wire(reply, keyring=KEY, request_mac=b"")
    answer = dns.message.from_wire(reply, keyring=False)
    asked = dns.message.from_wire(request, keyring=False)
    assert answer.rcode() == dns.rcode.NOTAUTH and answer.question == asked.question
    assert (answer.edns >= 0) == (edns >= 0)
    assert answer.tsig is not None and asked.tsig is not None
    assert answer.tsig.name == asked.tsig.name
    ours, theirs = answer.tsig[0], asked.tsig[0]
    assert isinstance(ours, dns.rdtypes.ANY.TSIG.TSIG)
    assert ours == theirs.replace(mac=b"", error=dns.rcode.BADKEY)  # RFC 8945 section 5.3.2


def test_an_owner_that_is_compressed(call: BytesCall) -> None:
    """The owner of a record may be; its reply is parsed by another program."""
    verdict, reply = call.send(message(tsig(b"\1k\xc0\x0c")))
    assert verdict == "dns_badkey" and reply is not None
    found = dns.message.from_wire(reply, keyring=False)
    assert found.tsig is not None and found.tsig.name.to_text() == "k.ns1.z."
    assert found.tsig[0].original_id == 0x4321 and found.id == 0x1234


MALFORMED = {
    "not last": message(tsig(), OPT),
    "two": message(tsig(), tsig()),
    "in the authority section": message(tsig(), authority=1),
    "class IN": message(tsig(rdclass=1)),
    "a TTL": message(tsig(ttl=1)),
    "no algorithm": message(tsig(algorithm=b"")),
    "a compressed algorithm": message(tsig(algorithm=b"\xc0\x0c")),
    "other data cut": message(tsig(other=b"123")[:-1]),
    "RDATA too long": message(tsig()[:-6] + bytes(7)),
    "an owner that points ahead": message(tsig(b"\xc0\x40")),
    "an owner that points to itself": message(tsig(b"\xc0\x17")),
    "an owner that points into the header": message(tsig(b"\xc0\x04")),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed(call: BytesCall, case: str) -> None:
    verdict, reply = call.send(MALFORMED[case])
    assert verdict == "dns_formerr" and reply is not None
    assert reply[3] & 15 == dns.rcode.FORMERR


@pytest.mark.parametrize("cut", range(1, 70))
def test_cut(call: BytesCall, cut: int) -> None:
    assert call.send(message(tsig())[:-cut])[0] == "dns_formerr"


def test_before_all_else(call: BytesCall) -> None:
    """What a signed message asks, and with which options, does not matter."""
    for request in (
        signed(use_edns=1),
        message(b"\0" + struct.pack("!HHIH", 41, 1232, 0, 6) + b"\0\x0a\0\2ab", tsig()),
    ):
        assert call.send(request)[0] == "dns_badkey"


def test_names_too_long_for_the_limit(call: BytesCall) -> None:
    long = b"".join(b"\x3f" + b"%c" % (97 + i) * 63 for i in range(3)) + b"\x3c" + b"d" * 60 + b"\0"
    request = message(tsig(long, algorithm=long, other=bytes(200)))
    verdict, reply = call.send(request)
    assert verdict == "dns_badkey" and reply is not None and len(reply) <= 512
    found = dns.message.from_wire(reply, keyring=False)
    assert found.rcode() == dns.rcode.NOTAUTH and found.flags & dns.flags.TC
    assert found.tsig is None
    _, reply = call.send(request, tcp=True)
    assert reply is not None and dns.message.from_wire(reply, keyring=False).tsig is not None
