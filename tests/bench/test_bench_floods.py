"""``bench --floods`` without a server: what its clients send and accept, sums and tables."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.rcode
import pytest
from rich.console import Console

from xdpkit.bench import floods, zones
from xdpkit.bench import run as bench
from xdpkit.bench.flood_clients import is_right
from xdpkit.loadgen.queries import COOKIE, cookie_of, with_cookie

[QUESTION, OTHER] = zones.queries(2)


def test_queries_carry_the_cookie() -> None:
    assert with_cookie(QUESTION, None) == QUESTION
    for cookie in (bytes(8), bytes(range(24))):
        sent = dns.message.from_wire(with_cookie(QUESTION, cookie))
        assert sent.payload == 1232
        assert sent.question == dns.message.from_wire(QUESTION).question
        assert [(each.otype, each.to_wire()) for each in sent.options] == [(COOKIE, cookie)]


def reply(rcode: int = 0, answers: int = 1, cookie: bytes = b"") -> bytes:
    made = dns.message.make_response(dns.message.from_wire(QUESTION))
    made.set_rcode(dns.rcode.Rcode(rcode))
    if cookie:
        made.use_edns(0, options=[dns.edns.GenericOption(COOKIE, cookie)])
    if answers:
        made.answer.append(dns.rrset.from_text(made.question[0].name, 5, "IN", "A", "10.0.0.0"))
    return made.to_wire()


def test_a_right_reply_is_a_complete_answer_to_the_question() -> None:
    assert is_right(reply(), QUESTION)
    assert not is_right(reply(), OTHER)
    assert not is_right(reply(answers=0), QUESTION)
    assert not is_right(reply(rcode=2), QUESTION)
    truncated = bytearray(reply())
    truncated[2] |= 2
    assert not is_right(bytes(truncated), QUESTION)


@pytest.mark.parametrize("cookie", [b"", bytes(range(24))])
def test_the_cookie_of_a_reply(cookie: bytes) -> None:
    assert cookie_of(reply(23, 0, cookie)) == (cookie or None)


def a_round(kept: int, amplification: float) -> floods.Facts:
    """A round in which every group of clients sent ten queries."""
    counts = {"asked": 10, "by_udp": kept, "by_tcp": 1, "wrong": 0}
    figures = {
        "offered_per_s": 1e5,
        "amplification": amplification,
        "worker_cpu_share": 0.5,
        "not_taken": 0,
    }
    return {"clients": {group.name: counts for group in floods.GROUPS}, "figures": figures}


def test_rounds_are_summed_up_and_shown() -> None:
    made = floods.row("any-txt", "on", [a_round(9, 1.0), a_round(5, 3.0), a_round(8, 2.0)])
    assert made["kept"] == pytest.approx(25 / 30)
    assert made["clients"]["victim"] == {
        "asked": 30,
        "by_udp": 22,
        "by_tcp": 3,
        "wrong": 0,
        "kept": pytest.approx(25 / 30),
    }
    assert (made["amplification"], made["amplification_max"]) == (2.0, 3.0)
    facts = bench.machine() | {
        "mode": "native, copy",
        "rounds": 3,
        "seconds": 1.0,
        "flood_per_s": 100_000,
        "clients": {group.name: len(group.addresses) for group in floods.GROUPS},
        "client_per_s": 40,
        "floods": [made],
    }
    console = Console(width=bench.WIDTH)
    with console.capture() as capture:
        floods.show(facts, console)
    text = capture.get()
    assert "83.33% (10%)" in text and "any-txt" in text and "2.00" in text


def test_floods_do_not_spoof_the_clients() -> None:
    clients = {address for group in floods.GROUPS for address in group.addresses}
    clients -= {floods.VICTIM}
    for flood in floods.floods():
        assert all(len(query) <= 512 for query in flood.queries)
        for first, count in flood.sources:
            start = [*map(int, first.split("."))]
            number = int.from_bytes(bytes(start))
            every = {".".join(map(str, (number + n).to_bytes(4))) for n in range(count)}
            assert not clients & every
