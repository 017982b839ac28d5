"""Comparisons with another server: one that is honest, one that differs, and ones that cheat."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import pytest

from xdpkit._core._answer import answer
from xdpkit._core._thread_state import ThreadState
from xdpkit.config.address import SocketAddress
from xdpkit.config.geo import GeoFiles
from xdpkit.errors import UsageError
from xdpkit.services.dns.query.compare import Compared, compare, parse_questions
from xdpkit.services.dns.query.peer import SILENT, Peer
from xdpkit.services.dns.query.served import Served, load_served

MAP = "203.0.113.0/24 us\n198.51.100.0/24 de\n2001:db8:1::/48 de\n2001:db8::/32 us\n"
MASTER = """$TTL 300
@ SOA ns hostmaster 1 7200 3600 1209600 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.80
www A 192.0.2.81
alias CNAME www
sub NS ns.sub
ns.sub A 192.0.2.53
"""
QUESTIONS = """\
www.pool.example A 203.0.113.7   # us
www.pool.example A 198.51.100.7
www.pool.example A 192.0.2.1
www.pool.example A 2001:db8:1::7

www.pool.example TXT 203.0.113.7
few.pool.example A 203.0.113.7
mixed.pool.example A 203.0.113.7
no.pool.example A 203.0.113.7
www.example A 203.0.113.7
alias.example A 203.0.113.7
x.sub.example A 203.0.113.7
other.test A 203.0.113.7
"""


def pool(**labels: Any) -> dict[str, Any]:
    weights = (10, 20, 30, 1000)
    many = [[f"192.0.2.{n}", weight] for n, weight in enumerate(weights, 1)]
    return {
        "serial": 1,
        "ttl": 60,
        "data": {
            "": {"ns": ["ns.example."]},
            "www": {"a": many},
            "www.us": {"a": [[f"198.51.100.{n}", 5] for n in range(1, 9)]},
            "www.de": {"cname": [["a.example.org.", 1], ["b.example.org.", 2]]},
            "few": {"a": [["192.0.2.60", 1], ["192.0.2.61", 1]]},
            "mixed": {"alias": [["www", 1], ["few", 1]]},
            **labels,
        },
    }


def load(directory: Path, document: dict[str, Any], master: str = MASTER) -> Served:
    directory.mkdir()
    (directory / "pool.example.json").write_text(json.dumps(document))
    (directory / "example.zone").write_text(master)
    own = directory / "locations"
    own.write_text(MAP)
    return load_served(directory, geo=GeoFiles(own=own))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Served:
    return load(tmp_path_factory.mktemp("ours") / "zones", pool())


Reply = Callable[[bytes], list[bytes]]
"""What a server sends for a request."""


@contextmanager
def server(reply: Reply) -> Iterator[SocketAddress]:
    """A real UDP server on the loopback interface."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                data, source = listener.recvfrom(4096)
            except TimeoutError:
                continue
            for each in reply(data):
                listener.sendto(each, source)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield SocketAddress(ip_address("127.0.0.1"), listener.getsockname()[1])
    finally:
        ended.set()
        thread.join()
        listener.close()


def answering(served: Served) -> Reply:
    snapshot, state = served.snapshot(1232), ThreadState()

    def reply(request: bytes) -> list[bytes]:
        _, made = answer(snapshot, "dns", request, ("127.0.0.1", 40000), state=state)
        return [made] if made else []

    return reply


def compared(
    ours: Served, reply: Reply, questions: str = QUESTIONS, seconds: float = 2.0, **more: Any
) -> list[Compared]:
    with server(reply) as address:
        peer = Peer(address, seconds)
        try:
            asked = list(parse_questions(questions.splitlines(), "questions"))
            return list(compare(ours, peer, asked, **more))
        finally:
            peer.close()


def differences(found: list[Compared]) -> dict[str, str]:
    return {each.question: " | ".join(each.differences) for each in found if each.differences}


def test_the_same_zones(ours: Served) -> None:
    found = compared(ours, answering(ours))
    assert differences(found) == {}
    assert [each.asked for each in found] == [100] * 4 + [3, 3, 100, 3, 3, 3, 3, 3]
    assert all(each.answered == each.asked for each in found)


def test_what_differs(ours: Served, tmp_path: Path) -> None:
    many = [[f"192.0.2.{n}", weight] for n, weight in ((1, 1000), (2, 20), (3, 30), (4, 1000))]
    us = {"a": [[f"198.51.100.{n}", 5] for n in (1, 2, 3, 4, 5, 6, 7, 77)]}
    other = pool(
        **{
            "www": {"a": many},
            "www.us": us,
            "few": {"a": [["192.0.2.60", 1]], "ttl": 61},
            "no": {"a": [["192.0.2.9", 1]]},
        }
    )
    master = MASTER.replace("2.80", "2.82").replace("sub NS ns", "sub NS n2")
    theirs = load(tmp_path / "zones", other, master)
    found = differences(compared(ours, answering(theirs)))
    weight = found.pop("www.pool.example A 192.0.2.1")
    assert weight.startswith("frequencies: chi-square ") and " p = " in weight
    assert "A 192.0.2.1 in " in weight
    record = found.pop("www.pool.example A 203.0.113.7")
    assert record.startswith("records that are never answered here: A 198.51.100.77 (")
    few = found.pop("few.pool.example A 203.0.113.7")
    assert "ttl: 61 there, 60 here" in few
    assert "records in an answer: 1 there, 2 here" in few
    assert "records that are in every answer here: A 192.0.2.61 (0 of 3)" in few
    assert found.pop("no.pool.example A 203.0.113.7") == "rcode: NOERROR there, NXDOMAIN here"
    assert "A 192.0.2.82 (3 of 3)" in found.pop("www.example A 203.0.113.7")
    assert "NS n2.sub.example. (3 of 3)" in found.pop("x.sub.example A 203.0.113.7")
    assert "mixed.pool.example A 203.0.113.7" in found
    assert set(found) == {"mixed.pool.example A 203.0.113.7"}


def test_another_scope(ours: Served, tmp_path: Path) -> None:
    def sixteen(request: bytes) -> list[bytes]:
        # As GeoDNS does.
        made = bytearray(answering(ours)(request)[0])
        at = made.rindex(b"\x00\x08\x00\x08\x00\x01\x20") + 7
        made[at] = 16
        return [bytes(made)]

    line = "www.pool.example A 203.0.113.7\n"
    found = compared(ours, sixteen, line)
    assert differences(found) == {line.strip(): "scope: 16 there, 24 here"}
    assert differences(compared(ours, sixteen, line, with_scope=False)) == {}


def test_a_silent_server(ours: Served) -> None:
    found = compared(ours, lambda _: [], seconds=0.2)
    assert len(found) == 1 and found[0].answered == 0
    assert found[0].differences == ("no answer to 100 of 100 questions",)


def test_nobody_listens(ours: Served) -> None:
    closed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    closed.bind(("127.0.0.1", 0))
    address = SocketAddress(ip_address("127.0.0.1"), closed.getsockname()[1])
    closed.close()
    peer = Peer(address, 0.2)
    asked = list(parse_questions(QUESTIONS.splitlines(), "questions"))
    assert len(list(compare(ours, peer, asked))) == 1 and peer.is_silent
    peer.close()


def test_a_server_that_goes_away(ours: Served) -> None:
    left = iter(range(250))
    honest = answering(ours)
    found = compared(ours, lambda r: honest(r) if next(left, None) is not None else [], seconds=0.2)
    assert [bool(each.differences) for each in found] == [False, False, True]
    assert found[2].answered == 50


def test_replies_that_are_none_are_not_counted(ours: Served) -> None:
    """Wrong IDs, other questions, requests, noise: as if they had not come."""
    honest, rng = answering(ours), random.Random(5)

    def lie(request: bytes) -> list[bytes]:
        reply = honest(request)[0]
        other = dns.message.make_query("www.example", "A").to_wire()
        number = (int.from_bytes(reply[:2], "big") + 1 + rng.randrange(65535)) % 65536
        mutated = bytearray(reply)
        for _ in range(3):
            mutated[rng.randrange(12, len(mutated))] = rng.randrange(256)
        return [
            rng.randbytes(rng.randrange(64)),
            number.to_bytes(2, "big") + reply[2:],
            request,
            reply[:2] + honest(other)[0][2:],
            # That of a question that was asked, with another content.
            bytes((0, 0)) + bytes(mutated)[2:],
            reply,
            reply,
        ]

    assert differences(compared(ours, lie, "www.pool.example A 192.0.2.1\n")) == {}


def test_content_that_is_noise_ends(ours: Served) -> None:
    honest, rng = answering(ours), random.Random(6)

    def lie(request: bytes) -> list[bytes]:
        mutated = bytearray(honest(request)[0])
        for _ in range(rng.randrange(1, 6)):
            mutated[rng.randrange(2, len(mutated))] = rng.randrange(256)
        return [bytes(mutated)]

    for _ in range(3):
        found = compared(ours, lie, QUESTIONS, seconds=0.05)
        assert found and found[0].differences


def test_a_flood_ends(ours: Served) -> None:
    started = time.monotonic()
    found = compared(ours, lambda _: [b"x" * 1400] * 50, seconds=0.2)
    assert len(found) == 1 and found[0].answered == 0
    assert time.monotonic() - started < 30


def test_silence_is_counted_in_a_row(ours: Served) -> None:
    lost = iter(range(SILENT - 1))
    honest = answering(ours)
    line = "www.pool.example A 192.0.2.1\n"
    found = compared(ours, lambda r: honest(r) if next(lost, None) is None else [], line, 0.2)
    assert found[0].differences == (f"no answer to {SILENT - 1} of 100 questions",)


@pytest.mark.parametrize(
    "line, reason",
    [
        ("www.example A", "questions:2: 2 fields: write NAME TYPE CLIENT"),
        ("www.example WHAT 192.0.2.1", "questions:2: "),
        ("a..b A 192.0.2.1", "questions:2: "),
        ("www.example A 192.0.2", "questions:2: '192.0.2' does not appear to be"),
        ("www.\udcff A 192.0.2.1", "questions:2: "),
    ],
)
def test_lines_that_are_no_questions(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(parse_questions(["# comment", line], "questions"))
    assert str(caught.value).startswith(reason)
