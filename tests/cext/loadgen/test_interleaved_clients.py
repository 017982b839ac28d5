"""The generator's interleaved clients against the real answer function, frame by frame."""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._answer import answer_frame
from xdpkit._core._requests import Requests
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit.bench import frames
from xdpkit.loadgen.setup import request_header

SERVER = Snapshot({"ntp": 123}, ntp={"stratum": 10})
US, SECOND = 1000, 10**9
NOW = 1_795_000_000 * SECOND
# Offsets: UDP header and payload after Ethernet and plain IPv4; NTP timestamps in the payload.
UDP_AT, PAYLOAD_AT = 34, 42
ORIGIN, RECEIVE, TRANSMIT = 24, 32, 40


def requests(clients: int = 1, **options: object) -> Requests:
    addresses = (ip_address("192.0.2.2"), ip_address("192.0.2.1"))
    header = request_header(frames.MACS, addresses, 123)
    return Requests("ntp", *header, 61000, ports=1000, clients=clients, **options)  # type: ignore[arg-type]


def field(frame: bytes, at: int) -> int:
    """A timestamp of an NTP message."""
    (value,) = struct.unpack_from("!Q", frame, PAYLOAD_AT + at)
    return int(value)


def put(frame: bytes, at: int, value: int) -> bytes:
    """The frame with another timestamp in it, and no UDP checksum."""
    data = bytearray(frame)
    struct.pack_into("!Q", data, PAYLOAD_AT + at, value % 2**64)
    struct.pack_into("!H", data, UDP_AT + 6, 0)
    return bytes(data)


class Lab:
    """One server, and how the generator judges its replies; one request per millisecond."""

    def __init__(self, clients: int = 1) -> None:
        self.requests = requests(clients)
        self.state = ThreadState(interleaved=1024)
        self.now = NOW

    def ask(self) -> bytes:
        """The next request."""
        self.now += SECOND // 1000
        return self.requests.request(self.now)

    def answer(self, request: bytes, sent_after: int = 20 * US) -> bytes:
        """The server's reply, leaving ``sent_after`` ns after the request was sent."""
        at = self.now + 10 * US
        verdict, reply = answer_frame(
            SERVER, request, rx_ns=at, tx_ns=self.now + sent_after, state=self.state
        )
        assert reply is not None, verdict
        return reply

    def judge(self, reply: bytes, arrival: int = 30 * US) -> str:
        """The verdict on a reply that arrives ``arrival`` ns after its request was sent."""
        at = self.now + arrival
        return self.requests.reply(reply, at, at)

    def exchange(self, sent_after: int = 20 * US, arrival: int = 30 * US) -> str:
        return self.judge(self.answer(self.ask(), sent_after), arrival)

    def modes(self) -> tuple[int, int]:
        counted = self.requests.interleaved()
        return counted["basic"], counted["interleaved"]


def test_the_third_reply_reports_when_the_second_left() -> None:
    lab = Lab()
    assert [lab.exchange() for _ in range(4)] == ["right"] * 4
    assert lab.modes() == (2, 2)
    assert lab.requests.counters() == {
        "sent": 4,
        "answered": 4,
        "wrong": 0,
        "duplicate": 0,
        "lost": 0,
        "late": 0,
        "open": 0,
    }
    # From transmit time to arrival, within a bucket's width.
    assert 10 * US <= lab.requests.underway_ns(50) <= 10 * US * 1.016
    assert 30 * US <= lab.requests.latency_ns(50) <= 30 * US * 1.016


def test_what_a_request_says() -> None:
    lab = Lab()
    first = lab.ask()
    assert field(first, ORIGIN) == field(first, RECEIVE) == 0
    reply = lab.answer(first)
    assert lab.judge(reply) == "right"
    second = lab.ask()
    assert field(second, ORIGIN) == field(reply, RECEIVE)
    assert field(second, RECEIVE) not in (0, field(second, TRANSMIT))
    assert field(second, TRANSMIT) != field(first, TRANSMIT)
    # Headers and 48 bytes, nothing after that.
    assert len(first) == len(second) == PAYLOAD_AT + 48


def test_a_client_has_one_outstanding_request() -> None:
    lab = Lab(3)
    asked = [lab.ask() for _ in range(3)]
    assert lab.requests.ready == 0
    with pytest.raises(ValueError, match="every interleaved client is waiting"):
        lab.ask()
    replies = [lab.answer(request) for request in asked]
    assert [lab.judge(reply) for reply in replies] == ["right"] * 3
    assert lab.requests.ready == 3


@pytest.mark.parametrize(
    "sent_after, judgment",
    [
        (10 * US - 1, "wrong"),  # before the request arrived
        (10 * US + 2, "right"),
        (30 * US, "right"),
        (30 * US + 2, "wrong"),  # after the reply arrived
        (10**6 * US, "wrong"),
        (-(2**62), "wrong"),
    ],
)
def test_the_bounds_of_a_transmit_time(sent_after: int, judgment: str) -> None:
    """The second request was received at 10 us, and its reply arrived at 30."""
    lab = Lab()
    lab.exchange()
    lab.exchange(sent_after=20 * US)
    reply = lab.answer(lab.ask())
    reported = field(reply, TRANSMIT) + ((sent_after - 20 * US) << 32) // SECOND
    assert lab.judge(put(reply, TRANSMIT, reported)) == judgment
    if judgment == "wrong":
        assert lab.modes() == (2, 0)
        assert lab.requests.counters()["wrong"] == lab.requests.counters()["open"] == 1


WRONG: dict[str, Callable[[bytes], bytes]] = {
    "origin": lambda reply: put(reply, ORIGIN, field(reply, ORIGIN) ^ 1 << 63),
    "no-origin": lambda reply: put(reply, ORIGIN, 0),
    "no-receive": lambda reply: put(reply, RECEIVE, 0),
    "transmit-is-receive": lambda reply: put(reply, TRANSMIT, field(reply, RECEIVE)),
    "no-transmit-time": lambda reply: put(reply, TRANSMIT, 0),
    # A basic reply's own time, with the origin of an interleaved one.
    "own-transmit-time": lambda reply: put(reply, TRANSMIT, field(reply, RECEIVE) + 4096),
    # The origin of a basic reply, with the transmit time of the previous one.
    "basic-origin": lambda reply: put(reply, ORIGIN, ~field(reply, ORIGIN)),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong(name: str) -> None:
    lab = Lab()
    lab.exchange()
    lab.exchange()
    reply = lab.answer(lab.ask())
    assert lab.judge(WRONG[name](reply)) == "wrong"
    assert lab.requests.counters()["wrong"] == 1
    assert lab.judge(reply) == "right"


def test_interleaved_reply_to_a_basic_request_is_wrong() -> None:
    lab = Lab()
    reply = lab.answer(lab.ask())
    reported = put(reply, ORIGIN, ~field(reply, ORIGIN))
    assert lab.judge(reported) == lab.judge(put(reported, TRANSMIT, 0)) == "wrong"
    assert lab.judge(reply) == "right"


def test_a_reply_meant_for_another_client_is_wrong() -> None:
    """Each has its own port: with the other's origin, the reply went to the wrong client."""
    lab = Lab(2)
    for _ in range(4):
        lab.exchange()
    one, other = lab.answer(lab.ask()), lab.answer(lab.ask())
    assert lab.judge(put(one, ORIGIN, field(other, ORIGIN))) == "wrong"
    assert [lab.judge(one), lab.judge(other)] == ["right", "right"]


def test_duplicate_late_and_lost() -> None:
    lab = Lab()
    lab.exchange()
    reply = lab.answer(lab.ask())
    assert [lab.judge(reply), lab.judge(reply)] == ["right", "duplicate"]
    reply = lab.answer(lab.ask())
    lab.requests.expire(lab.now + 2 * SECOND)
    assert lab.requests.ready == 1
    assert lab.judge(reply) == "late"
    # That reply was lost and its saved timestamp used: the next is basic, then interleaved again.
    before = lab.modes()
    assert [lab.exchange(), lab.exchange()] == ["right", "right"]
    assert lab.modes() == (before[0] + 1, before[1] + 1)
    counters = lab.requests.counters()
    assert (counters["lost"], counters["late"], counters["duplicate"]) == (1, 1, 1)
    assert (counters["wrong"], counters["open"]) == (0, 0)


def test_reported_transmit_times_against_the_replies_own() -> None:
    """Without a better source, the server reports what the reply carried; the truth is later."""
    lab = Lab()
    lab.exchange()
    lab.exchange()
    own = lab.answer(lab.ask())
    assert lab.judge(own) == "right"
    for _ in range(3):
        assert [lab.requests.interleaved()[name] for name in ("same", "later")] == [1, 0]
        # This reports on an interleaved reply, which did not carry its own time.
        assert lab.exchange() == "right"
    for shift, name in ((3000, "later"), (-3000, "earlier")):
        lab = Lab()
        lab.exchange()
        lab.exchange()
        reply = lab.answer(lab.ask())
        assert lab.judge(put(reply, TRANSMIT, field(reply, TRANSMIT) + shift)) == "right"
        counted = lab.requests.interleaved()
        reported = {key: counted[key] for key in ("same", "later", "earlier")}
        assert reported == {"same": 0, "later": 0, "earlier": 0} | {name: 1}


def test_clear_keeps_outstanding_requests() -> None:
    lab = Lab(2)
    lab.exchange()
    open_one = lab.answer(lab.ask())
    lab.requests.clear()
    assert lab.judge(open_one) == "right"
    assert lab.modes() == (1, 0)
    assert lab.requests.counters()["answered"] == 1


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(11, 10**5), st.integers(0, 10**5), st.booleans()), max_size=60),
)
def test_a_correct_server_is_never_wrong(
    clients: int, exchanges: list[tuple[int, int, bool]]
) -> None:
    """With any delays and any losses."""
    lab = Lab(clients)
    for sent_after, way, is_lost in exchanges:
        lab.now += SECOND
        reply = lab.answer(lab.ask(), sent_after * US)
        if is_lost:
            lab.requests.expire(lab.now + 2 * SECOND)
        else:
            assert lab.judge(reply, (sent_after + way) * US) == "right"
    counters = lab.requests.counters()
    lost = sum(is_lost for *_, is_lost in exchanges)
    assert (counters["wrong"], counters["lost"], counters["open"]) == (0, lost, 0)
    assert sum(lab.modes()) == counters["answered"] == len(exchanges) - lost
    if not lost:
        assert lab.modes()[0] == min(2 * clients, len(exchanges))


def test_clients_are_for_plain_ntp() -> None:
    header = request_header(frames.MACS, (ip_address("192.0.2.2"), ip_address("192.0.2.1")), 7)
    with pytest.raises(ValueError, match="plain NTP"):
        Requests("echo", *header, 61000, clients=1)
    with pytest.raises(ValueError, match="plain NTP"):
        requests(queries=frames.ntp_payloads(2))
    with pytest.raises(ValueError, match="at most 65536"):
        requests(65537)
