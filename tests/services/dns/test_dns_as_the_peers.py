"""Zones that knotd, nsd or named load although dnspython would not: loaded as they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.name
import dns.rcode
import pytest
from dns_bytes_call import HEAD, BytesCall
from dnsdiff import servers, signing

from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.zone import Zone

Q = b"\1z\4test\0"

# What is written, the owner, the type, and the RDATA or RDATAs.
LOADS: dict[str, tuple[str | bytes, bytes, int, list[bytes]]] = {
    "Latin-1 in a comment": (b"x A 192.0.2.7 ; \xe4\n", b"\1x", 1, [b"\xc0\0\2\7"]),
    "Latin-1 in an owner": (b"x\xe4 A 192.0.2.7\n", b"\2x\xe4", 1, [b"\xc0\0\2\7"]),
    "UTF-8 in an owner": ("é A 192.0.2.7\n", b"\2\xc3\xa9", 1, [b"\xc0\0\2\7"]),
    "UTF-8 in a target": ("x CNAME é\n", b"\1x", 5, [b"\2\xc3\xa9" + Q]),
    "UTF-8 where dnspython reads": (
        "$GENERATE 1-1 é$ CNAME ü$\n", b"\3\xc3\xa91", 5, [b"\3\xc3\xbc1" + Q],
    ),
    "Latin-1 in a text": (b"x TXT \xe4 \"\xfc\"\n", b"\1x", 16, [b"\1\xe4\1\xfc"]),
    "an owner in quotes": ('"x" A 192.0.2.7\n', b"\1x", 1, [b"\xc0\0\2\7"]),
    "a TTL with the top bit": ("x 2147483648 A 192.0.2.7\n", b"\1x", 1, [b"\xc0\0\2\7"]),
    "$GENERATE with quotes": ('$GENERATE 1-2 t$ TXT "a $"\n', b"\2t2", 16, [b"\1a\1" + b"2"]),
    "$GENERATE of an MX": ('$GENERATE 1-2 m$ MX "10 m$"\n', b"\2m1", 15, [b"\0\n\2m1" + Q]),
    "$GENERATE of an SRV": (
        '$GENERATE 1-2 s$ SRV "1 2 3 h$"\n', b"\2s1", 33, [b"\0\1\0\2\0\3\2h1" + Q],
    ),
    "DS of another length": ("x DS 1 8 2 abcd\n", b"\1x", 43, [b"\0\1\x08\2\xab\xcd"]),
    "DS at the apex": ("@ DS 1 8 2 abcd\n", b"", 43, [b"\0\1\x08\2\xab\xcd"]),
    "CDS of another length": ("x CDS 1 8 2 abcd\n", b"\1x", 59, [b"\0\1\x08\2\xab\xcd"]),
    "TLSA of another length": ("x TLSA 3 1 1 abcd\n", b"\1x", 52, [b"\3\1\1\xab\xcd"]),
    "SSHFP of another length": ("x SSHFP 1 1 abcd\n", b"\1x", 44, [b"\1\1\xab\xcd"]),
    "ZONEMD of another length": ("x ZONEMD 7 1 1 abcd\n", b"\1x", 63, [b"\0\0\0\7\1\1\xab\xcd"]),
    "URI without a target": ('x URI 10 1 ""\n', b"\1x", 256, [b"\0\n\0\1"]),
    "HTTPS, an alias with parameters": (
        "x HTTPS 0 y alpn=h2\n", b"\1x", 65, [b"\0\0\1y" + Q + b"\0\1\0\3\2h2"],
    ),
    "no-default-alpn alone": ("x HTTPS 1 . no-default-alpn\n", b"\1x", 65, [b"\0\1\0\0\2\0\0"]),
    "ech": ("x SVCB 1 . ech=AAEC\n", b"\1x", 64, [b"\0\1\0\0\5\0\3\0\1\2"]),
    "an empty key": ("x SVCB 1 . key65333=\n", b"\1x", 64, [b"\0\1\0\xff\x35\0\0"]),
    "keys in any order": (
        'x SVCB 1 . key7="/q" port=1 mandatory=port\n', b"\1x", 64,
        [b"\0\1\0\0\0\0\2\0\3\0\3\0\2\0\1\0\7\0\2/q"],
    ),
    "MB": ("x MB ns1\n", b"\1x", 7, [b"\3ns1" + Q]),
    "MG": ("x MG ns1\n", b"\1x", 8, [b"\3ns1" + Q]),
    "MR": ("x MR ns1\n", b"\1x", 9, [b"\3ns1" + Q]),
    "MINFO": ("x MINFO a b\n", b"\1x", 14, [b"\1a" + Q + b"\1b" + Q]),
    "NXT": ("x NXT y A MX NXT\n", b"\1x", 30, [b"\1y" + Q + b"\x40\1\0\2"]),
    "wildcard NS": ("*.x NS ns1\n", b"\1*\1x", 2, [b"\3ns1" + Q]),
    "wildcard DNAME": ("*.x DNAME ns1\n", b"\1*\1x", 39, [b"\3ns1" + Q]),
}  # fmt: skip


def read(directory: Path, text: str | bytes, head: str = HEAD) -> Zone:
    path = directory / "z.test.zone"
    path.write_bytes(head.encode() + (text.encode() if isinstance(text, str) else text))
    return read_zone(path)


@pytest.mark.parametrize("case", LOADS)
def test_loads(tmp_path: Path, case: str) -> None:
    text, owner, rdtype, rdatas = LOADS[case]
    zone = read(tmp_path, text)
    found = {rrset.rdtype: rrset for rrset in zone.nodes[owner + Q]}
    assert found[rdtype].rdatas == rdatas
    if case == "a TTL with the top bit":
        assert found[rdtype].ttl == 0, "RFC 2181 section 8"


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("x.other.test. A 192.0.2.1\n", 4, "not in the zone z.test: ignored"),
        ("$ORIGIN other.test.\nx A 192.0.2.1\n", 5, "x.other.test is not in the zone"),
        ("test. A 192.0.2.1\n", 4, "test is not in the zone"),
        ("x 4294967295 A 192.0.2.1\n", 4, "a TTL above 2147483647 counts as 0"),
        ("\n$TTL 2147483648\nx A 192.0.2.1\n", 5, "a TTL above 2147483647 counts as 0"),
        ("$GENERATE 1-1 x$ 2147483648 A 192.0.2.1\n", 4, "a TTL above"),
        ("*.x NS ns1\n", 4, "an NS record at a wildcard"),
        ("*.x DNAME ns1\n", 4, "a DNAME at a wildcard"),
        ("@ DS 1 8 2 abcd\n", 4, "belongs in the zone above"),
        ("".join(f'x TXT "{i:04}{"y" * 250}"\n' for i in range(250)), 4, "more records"),
    ],
)
def test_with_a_warning(tmp_path: Path, text: str, line: int, words: str) -> None:
    zone = read(tmp_path, text)
    assert [each.line for each in zone.warnings] == [line]
    assert words in zone.warnings[0].text
    assert Q in zone.nodes and all(name.endswith(Q) for name in zone.nodes)


def test_an_apex_without_ns(tmp_path: Path) -> None:
    zone = read(tmp_path, "", HEAD.replace("@ NS ns1\n", ""))
    assert [(each.line, each.text) for each in zone.warnings] == [
        (2, "no NS record for z.test itself: write @ NS NAME")
    ]


@pytest.mark.parametrize(
    "text, place",
    [
        ("x 4294967296 A 192.0.2.1\n", "4:3"),
        ('"@" A 192.0.2.1\n', "4:1"),
        ("x SVCB 1 . mandatory=port\n", "4:12"),
        ("x SVCB 1 . port=1 port=2\n", "4:19"),
        ("x NXT y TYPE128\n", "4:9"),
        ("é A 192.0.2\n", "4:5"),
        ("é TXT ü )\n", "4:9"),
    ],
)
def test_what_no_peer_loads(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ZoneError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'z.test.zone'}:{place.split(':')[0]}:")


# -------------------------------------------------------------------------------------------------

ZONES = {
    "wd.test": HEAD + "ns1 A 192.0.2.1\n*.w DNAME t\na.t A 192.0.2.7\nt A 192.0.2.9\n",
    "wn.test": HEAD + "ns1 A 192.0.2.1\n*.d NS ns1\n",
    "nons.test": HEAD.replace("@ NS ns1\n", "") + "ns1 A 192.0.2.1\n",
    "ds.test": HEAD + "ns1 A 192.0.2.1\n@ DS 1 8 2 " + "ab" * 32 + "\n",
    "big.test": HEAD + "".join(f'b TXT "{i:05}{"y" * 240}"\n' for i in range(300)),
    "svc.test": HEAD + "h HTTPS 1 . alpn=h2\nh A 192.0.2.8\n*.w SVCB 2 .\n*.w AAAA 2001:db8::1\n"
    "a HTTPS 0 .\na A 192.0.2.9\n",
}
ASKED = [
    ("a.w.wd.test", "A"), ("b.a.w.wd.test", "A"), ("a.w.wd.test", "DNAME"), ("w.wd.test", "A"),
    ("x.*.w.wd.test", "A"), ("a.d.wn.test", "A"), ("b.a.d.wn.test", "A"), ("a.d.wn.test", "NS"),
    ("*.d.wn.test", "A"), ("d.wn.test", "A"), ("nons.test", "SOA"), ("nons.test", "NS"),
    ("ns1.nons.test", "A"), ("ds.test", "DS"), ("big.test", "SOA"), ("b.big.test", "A"),
]  # fmt: skip
# Where one of them is alone: to nsd a wildcard's NS is data, and DS at the apex nothing; knotd has
# names that a wildcard makes below the wildcard itself.
ALONE = {
    "nsd": {("a.d.wn.test", "A"), ("b.a.d.wn.test", "A"), ("a.d.wn.test", "NS"), ("ds.test", "DS")},
    "knotd": {("x.*.w.wd.test", "A")},
    # To named, the DS is a question for the zone above, which it does not serve.
    "named": {("ds.test", "DS")},
}
# Zones that one of them does not load, as the other two do.
REFUSED = {"named": ("wn.test", "nons.test", "big.test")}


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> BytesCall:
    return BytesCall(tmp_path_factory.mktemp("peers") / "zones", ZONES)


@pytest.fixture(scope="module")
def peers(
    call: BytesCall, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, servers.Peer]]:
    programs = signing.programs("knotd", "nsd", "named")
    directory = tmp_path_factory.mktemp("others") / "zones"
    directory.mkdir()
    for name, text in ZONES.items():
        (directory / f"{name}.zone").write_text(text)
    probe = dns.message.make_query("ns1.wd.test", "A").to_wire()
    with servers.peers(programs, directory, ZONES, probe) as running:
        yield running


def seen(reply: bytes) -> tuple[object, ...]:
    message = dns.message.from_wire(reply)
    answer = sorted(
        f"{rrset.name} {rrset.rdtype} {each}" for rrset in message.answer for each in rrset
    )
    authority = sorted(f"{rrset.name} {rrset.rdtype}" for rrset in message.authority)
    # nsd adds the apex's NS records to answers.
    return message.rcode(), message.flags, answer, [] if answer else authority


@pytest.mark.parametrize("name, kind", ASKED)
def test_answers_as_the_peers(
    call: BytesCall, peers: dict[str, servers.Peer], name: str, kind: str
) -> None:
    request = dns.message.make_query(name, kind).to_wire()
    _, ours = call.send(request)
    assert ours is not None
    for peer, running in peers.items():
        if (name, kind) in ALONE[peer]:
            continue
        (theirs,) = running.udp([request])
        if name.endswith(REFUSED.get(peer, ())):
            assert theirs[3] & 15 == dns.rcode.SERVFAIL
            continue
        assert seen(ours) == seen(theirs), peer


def test_an_answer_above_64_kib(call: BytesCall, peers: dict[str, servers.Peer]) -> None:
    """As nsd: truncated over TCP, too; knotd has SERVFAIL."""
    request = dns.message.make_query("b.big.test", "TXT").to_wire()
    _, ours = call.send(request, tcp=True)
    (theirs,) = peers["nsd"].tcp([request])
    assert ours is not None and seen(ours) == seen(theirs)


@pytest.mark.parametrize(
    "name, kind, address",
    [
        ("h.svc.test", "HTTPS", "h.svc.test. 300 IN A 192.0.2.8"),
        ("x.w.svc.test", "SVCB", "x.w.svc.test. 300 IN AAAA 2001:db8::1"),
        ("a.svc.test", "HTTPS", ""),
    ],
)
def test_the_host_of_a_service_that_is_its_owner(
    call: BytesCall, name: str, kind: str, address: str
) -> None:
    """RFC 9460 section 2.5; an alias to nowhere has none."""
    reply = call.ask(name, kind)
    assert len(reply.answer) == 1
    assert [str(rrset) for rrset in reply.additional] == [address] * bool(address)
