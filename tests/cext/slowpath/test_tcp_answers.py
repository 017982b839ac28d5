"""DNS over TCP: the replies on a connection, compared with the bytes call."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from dns_bytes_call import HEAD, BytesCall
from dns_wire import message
from hypothesis import given, settings
from hypothesis import strategies as st
from tcp_client import framed, numbered
from tcp_loopback import LoopbackServer, loopback_server, query, sized

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._tcp_listener import QUERY_MAX

SIZES = (1, 4, 5, 16, 62, 228, 248)
ZONE = HEAD + "ns1 A 192.0.2.1\nwww A 192.0.2.2\n" + "".join(sized(f"n{n}", n) for n in SIZES)
WWW = query("www.z.example")
LARGEST = query("n248.z.example", "TXT")


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return BytesCall(tmp_path_factory.mktemp("zones"), {"z.example": ZONE}).snapshot


@pytest.fixture(scope="module")
def server(snapshot: Snapshot) -> Iterator[LoopbackServer]:
    with loopback_server(snapshot) as server:
        yield server


# ------------------------------------------------------------------------------ complete answers


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("edns", [-1, 0])
def test_no_answer_is_truncated(server: LoopbackServer, count: int, edns: int) -> None:
    asked = dns.message.make_query(f"n{count}.z.example", "TXT", use_edns=edns, payload=1232)
    with server.connect() as client:
        [reply] = client.ask(asked.to_wire())
    reply_message = dns.message.from_wire(reply)
    assert reply_message.id == asked.id and not reply_message.flags & dns.flags.TC
    assert len(reply_message.answer[0]) == count
    assert (reply_message.edns, reply_message.payload) == ((0, 1232) if edns == 0 else (-1, 0))
    _, udp = answer(server.snapshot, "dns", asked.to_wire())
    assert udp is not None
    if len(reply) <= (1232 if edns == 0 else 512):
        assert udp == reply
    else:
        # So that the client retries over TCP.
        assert dns.message.from_wire(udp).flags & dns.flags.TC


def test_the_largest_answer_there_is(tmp_path: Path) -> None:
    """65535 bytes with the longest name and EDNS, exactly the limit of an image (images.py)."""
    name = ".".join(["n" * 63, "n" * 63, "n" * 63, "n" * 51, "z", "example"])
    fixed = 2 + 10 + 1
    lengths = [254] * 244
    rest = 65535 - 12 - 255 - 4 - 11 - sum(fixed + n for n in lengths) - fixed
    lines = [f'{name}. TXT "{i:03}{"x" * (n - 3)}"\n' for i, n in enumerate([*lengths, rest])]
    call = BytesCall(tmp_path / "zones", {"z.example": HEAD + "".join(lines)})
    asked = dns.message.make_query(name, "TXT", use_edns=0).to_wire()
    with loopback_server(call.snapshot) as server, server.connect() as client:
        replies = client.ask(asked, asked, asked)
    assert [len(reply) for reply in replies] == [65535] * 3
    assert len(dns.message.from_wire(replies[2]).answer[0]) == 245


REFUSED = {
    "no question": message(b"", counts=(0, 0, 0, 0)),
    "opcode": message(flags=0x2800),
    "class": WWW[:-13] + b"\0\3" + WWW[-11:],
    "transfer": query("z.example", "AXFR"),
    "elsewhere": query("www.elsewhere"),
    "missing": query("nobody.z.example"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_errors_are_the_same_as_over_udp(server: LoopbackServer, case: str) -> None:
    verdict, udp = answer(server.snapshot, "dns", REFUSED[case])
    before = server.counters()["verdicts"]
    with server.connect() as client:
        # The connection stays open.
        assert client.ask(REFUSED[case], WWW) == [udp, server.expected(WWW)]
    assert verdict.startswith("dns_")
    assert sum(server.counters()["verdicts"]) == sum(before) + 2


# ---------------------------------------------------------------------------------- many queries


def test_a_thousand_pipelined_queries(server: LoopbackServer) -> None:
    kinds = itertools.cycle([WWW, query("n16.z.example", "TXT"), query("nobody.z.example")])
    asked = [struct.pack("!H", n) + next(kinds)[2:] for n in range(1000)]
    with server.connect() as client:
        assert client.ask(*asked) == [server.expected(one) for one in asked]


def test_large_answers_in_a_row(server: LoopbackServer) -> None:
    """Far more than the kernel and our output hold: we wait for the client, nothing is lost."""
    asked = numbered(LARGEST, range(60))
    expected = [server.expected(one) for one in asked]
    assert len(expected[0]) > 60_000
    with server.connect(receive_buffer=4096) as client, server.connect() as other:
        client.send(*asked)
        server.until(lambda counters: counters["queries"] >= 3, "the first answers")
        # While this client does not read, another is served.
        assert other.ask(WWW) == [server.expected(WWW)]
        assert [client.receive() for _ in asked] == expected


def test_a_client_that_shuts_down_its_side_gets_every_answer(server: LoopbackServer) -> None:
    asked = numbered(LARGEST, range(40))
    with server.connect(receive_buffer=4096) as client:
        client.send(*asked)
        client.socket.shutdown(1)
        assert client.rest() == [server.expected(one) for one in asked]


def padded(size: int) -> bytes:
    """A query of so many bytes, most of them padding (RFC 7830)."""
    asked = dns.message.make_query("www.z.example", "A", use_edns=0).to_wire()
    spare = size - len(asked) - 4
    return asked[:-2] + struct.pack("!HHH", spare + 4, 12, spare) + bytes(spare)


def test_byte_by_byte(server: LoopbackServer) -> None:
    with server.connect() as client:
        for byte in framed(WWW, LARGEST):
            client.socket.send(bytes([byte]))
            time.sleep(0.0005)
        assert [client.receive(), client.receive()] == [
            server.expected(WWW),
            server.expected(LARGEST),
        ]


def check_segmentation(server: LoopbackServer, data: st.DataObject, asked: list[bytes]) -> None:
    stream = framed(*asked)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    with server.connect() as client:
        for start, end in itertools.pairwise([0, *cuts, len(stream)]):
            client.socket.sendall(stream[start:end])
        client.socket.shutdown(1)
        assert client.rest() == [server.expected(one) for one in asked]


@settings(max_examples=30)
@given(st.data())
def test_any_segmentation(server: LoopbackServer, data: st.DataObject) -> None:
    """The replies are the same however the stream is split into segments."""
    asked = data.draw(st.lists(st.sampled_from([WWW, LARGEST, *REFUSED.values()]), max_size=20))
    check_segmentation(server, data, asked)


@pytest.mark.parametrize("size", [4093, 4094, 4095, 4096, 20000, 65534, QUERY_MAX])
def test_long_queries(server: LoopbackServer, size: int) -> None:
    """Up to what the length before a message can say, with others around."""
    long = padded(size)
    with server.connect() as client:
        [reply] = client.ask(long)
        assert dns.message.from_wire(reply).answer[0][0].to_text() == "192.0.2.2"
        asked = [WWW, long, WWW, WWW, long, long, WWW]
        assert client.ask(*asked) == [server.expected(one) for one in asked]


@settings(max_examples=30)
@given(st.data())
def test_long_queries_in_any_segmentation(server: LoopbackServer, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.sampled_from([100, 4094, 4095, 9000, 30000]), max_size=6))
    asked = [padded(size) for size in sizes]
    check_segmentation(server, data, asked)


# -------------------------------------------------------------------------------------- versions


def versions(tmp_path: Path, count: int) -> list[Snapshot]:
    """Versions of a zone in which every record of an answer names its version."""
    texts = [
        HEAD + "".join(f'n TXT "{version:03} {record:04} {"x" * 200}"\n' for record in range(200))
        for version in range(count)
    ]
    return [
        BytesCall(tmp_path / f"zones{version}", {"z.example": text}).snapshot
        for version, text in enumerate(texts)
    ]


def test_an_answer_is_from_one_version(tmp_path: Path) -> None:
    """Zones change while answers wait for their client: each is complete, none is older."""
    snapshots = versions(tmp_path, 6)
    asked = numbered(query("n.z.example", "TXT"), range(120))
    with loopback_server(snapshots[0]) as server, server.connect(receive_buffer=4096) as client:
        client.send(*asked)
        seen = []
        for number in range(len(asked)):
            if number % 20 == 0:
                server.shared.publish(snapshots[number // 20])
            reply_message = dns.message.from_wire(client.receive())
            assert reply_message.id == number and len(reply_message.answer[0]) == 200
            [version] = {record.strings[0][:3] for record in reply_message.answer[0]}
            seen.append(int(version))
        server.until(lambda _: server.shared.collect() == 0, "the old zones to go")
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
