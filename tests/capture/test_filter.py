"""The filter language against a reference, errors with their positions, and any text at all."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

import dns.message
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._capture import (
    FILTER_STEPS,
    OPERATIONS,
    TCP_THREAD,
    UDP_THREAD,
    CaptureFilter,
)
from xdpkit._core._stats import SERVICES, VERDICT_FIRST, VERDICTS
from xdpkit.capture.filter import FilterError, compile_filter

NAMES = ("example.", "www.example.", "a.www.example.", "wwwexample.", "other.test.")
TYPES = ("A", "AAAA", "TXT")
ADDRESSES = ("192.0.2.1", "192.0.3.129", "2001:db8::1", "2001:db8:0:8000::1")
PREFIXES = ("192.0.2.0/24", "192.0.2.0/23", "0.0.0.0/0", "2001:db8::/32", "2001:db8::/49", "::/0")
OUTCOMES = {v.name: VERDICT_FIRST + i for i, v in enumerate(VERDICTS)}
ANSWERS = {v.name for v in VERDICTS if v.kind == "answer"}
SOME = ("dns_answer", "dns_nxdomain", "dns_short", "ntp_answered", "bad_frame", "dns_badvers")
SOME = tuple(name for name in SOME if name in OUTCOMES)


@dataclass(frozen=True)
class Packet:
    """What a test knows about a packet, apart from its bytes."""

    service: str
    address: str
    name: str
    type: str
    rcode: int
    outcome: str
    thread: int

    def arguments(self, outcome: bool = True) -> dict[str, Any]:
        message = b"\x23" + bytes(47)
        if self.service == "dns":
            message = dns.message.make_query(self.name, self.type).to_wire()
        replied = self.outcome in ANSWERS
        reply = bytes((0, 0, 0x84, self.rcode)) + bytes(8)
        return {
            "source": ipaddress.ip_address(self.address).packed,
            "message": message,
            "service": SERVICES[self.service],
            "thread": self.thread,
            "outcome": OUTCOMES[self.outcome] if outcome else 0,
            "reply": reply if replied and outcome else None,
        }


PACKETS = st.builds(
    Packet,
    st.sampled_from(sorted(SERVICES)),
    st.sampled_from(ADDRESSES),
    st.sampled_from((*NAMES, "WWW.Example.")),
    st.sampled_from(TYPES),
    st.integers(0, 15),
    st.sampled_from(SOME),
    st.sampled_from((0, 7, UDP_THREAD, TCP_THREAD)),
)


def is_true(test: tuple[str, str], packet: Packet) -> bool:
    """The reference: what a test says about a packet."""
    kind, operand = test
    asked = dns.name.from_text(packet.name)
    is_dns = packet.service == "dns"
    if kind == "client":
        address = ipaddress.ip_address(packet.address)
        network = ipaddress.ip_network(operand)
        return address.version == network.version and address in network
    if kind == "name":
        wanted = dns.name.from_text(operand.removeprefix("*."))
        if operand.startswith("*."):
            return is_dns and asked.is_subdomain(wanted) and asked != wanted
        return is_dns and asked == wanted
    if kind == "rcode":
        replied = packet.outcome in ANSWERS
        extended = 16 if packet.outcome == "dns_badvers" else packet.rcode
        return is_dns and replied and extended == int(operand)
    return {
        "service": packet.service == operand,
        "type": is_dns and packet.type == operand,
        "verdict": packet.outcome == operand,
        "queue": str(packet.thread) == operand,
        "udp": packet.thread == UDP_THREAD,
        "tcp": packet.thread == TCP_THREAD,
        "answered": packet.outcome in ANSWERS,
    }[kind]


TESTS = st.one_of(
    st.tuples(st.just("service"), st.sampled_from(sorted(SERVICES))),
    st.tuples(st.just("client"), st.sampled_from(PREFIXES)),
    st.tuples(st.just("name"), st.sampled_from((*NAMES, "*.example.", "*.www.example."))),
    st.tuples(st.just("type"), st.sampled_from(TYPES)),
    st.tuples(st.just("rcode"), st.integers(0, 16).map(str)),
    st.tuples(st.just("verdict"), st.sampled_from(SOME)),
    st.tuples(st.just("queue"), st.sampled_from(("0", "7"))),
    st.sampled_from((("udp", ""), ("tcp", ""), ("answered", ""))),
)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, Any]:
    """A filter, and a function of a packet that says what it should find."""
    if not depth or draw(st.booleans()):
        test = draw(TESTS)
        return " ".join(test).strip(), lambda packet: is_true(test, packet)
    kind = draw(st.sampled_from(("not", "and", "or")))
    text, first = draw(expressions(depth=depth - 1))
    if kind == "not":
        return f"not ({text})", lambda packet: not first(packet)
    other, second = draw(expressions(depth=depth - 1))
    if kind == "and":
        return f"({text}) and ({other})", lambda packet: first(packet) and second(packet)
    return f"({text})or({other})", lambda packet: first(packet) or second(packet)


@given(expressions(), st.lists(PACKETS, min_size=1, max_size=8))
def test_it_finds_what_a_reference_finds(
    expression: tuple[str, Any], packets: list[Packet]
) -> None:
    text, reference = expression
    compiled = compile_filter(text)
    for packet in packets:
        found = compiled.run(**packet.arguments())
        assert found is reference(packet), (text, packet)
        # Before the outcome is known, it rejects and takes nothing wrongly.
        assert compiled.run(**packet.arguments(outcome=False)) in (None, found)


def test_and_binds_closer_than_or_and_not_closest() -> None:
    packet = Packet("dns", "192.0.2.1", "example.", "A", 0, SOME[0], 0)
    assert compile_filter("type A or type A and type TXT").run(**packet.arguments())
    assert not compile_filter("not type A and type A").run(**packet.arguments())


def test_without_a_filter_everything_is_wanted() -> None:
    assert compile_filter("").run() is True
    assert compile_filter("  ").run() is True


def test_what_is_no_request_has_no_client_and_no_name() -> None:
    for text in ("client 0.0.0.0/0", "client ::/0", "name example", "service dns", "type A"):
        assert compile_filter(text).run(outcome=OUTCOMES["bad_frame"]) is False
    assert compile_filter("verdict bad_frame").run(outcome=OUTCOMES["bad_frame"]) is True


@pytest.mark.parametrize(
    "text, column, expected",
    [
        ("frob dns", 1, "a test: service, client"),
        ("service", 8, "a service: ntp, dns, echo"),
        ("service dsn", 9, "a service"),
        ("client 192.0.2.1/24", 8, "an address or a prefix"),
        ("service dns and", 16, '"not", "(" or a test'),
        ("service dns type A", 13, '"and", "or" or the end'),
        ("(service dns", 13, '"and", "or" or ")"'),
        ("name a..b", 6, "a domain name"),
        ("type FROB", 6, "a record type"),
        ("type A or rcode 9999", 17, "a response code"),
        ("verdict frob", 9, "a verdict"),
        ("queue 256", 7, "an RX queue, 0 to 255"),
        ("queue ²", 7, "an RX queue"),
        ("(" * 40 + "udp" + ")" * 40, 33, "no more than 32 parentheses"),
    ],
)
def test_an_error_says_where_and_what_was_expected(text: str, column: int, expected: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(text)
    [line] = caught.value.lines()
    assert line.startswith(f"filter, column {column}: ")
    assert expected in line
    assert caught.value.exit_code == 2


def test_one_that_is_too_long_is_refused() -> None:
    with pytest.raises(FilterError, match="shorter"):
        compile_filter(" or ".join(["udp"] * FILTER_STEPS))
    with pytest.raises(FilterError, match="shorter"):
        compile_filter(" or ".join([f"name {'x' * 60}.{'y' * 60}"] * 12))


WORDS = st.sampled_from(
    (*"()", "and", "or", "not", "service", "dns", "client", "::/0", "name", "*.x", "type", "A")
)


@given(st.one_of(st.text(), st.lists(WORDS, max_size=80).map(" ".join)))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    try:
        compiled = compile_filter(text)
    except FilterError as error:
        assert len(error.lines()) == 1
    else:
        compiled.run()


STEPS = st.tuples(
    st.sampled_from(OPERATIONS), st.one_of(st.none(), st.binary(max_size=20)), st.integers(0, 300)
)


@given(st.lists(STEPS, max_size=140), st.binary(max_size=80), st.integers(0, 5), st.integers(0, 90))
def test_any_program_is_refused_or_runs_on_any_message(
    steps: list[tuple[str, bytes | None, int]], message: bytes, service: int, outcome: int
) -> None:
    try:
        compiled = CaptureFilter(steps)
    except ValueError:
        return
    for source in (None, bytes(4), bytes(16)):
        found = compiled.run(
            source=source, message=message, service=service, outcome=outcome, reply=message
        )
        assert found in (True, False, None)
        assert outcome == 0 or found is not None
