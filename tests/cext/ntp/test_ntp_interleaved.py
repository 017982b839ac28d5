"""Interleaved mode (RFC 9769) and the server's state, over the bytes call."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState, error_bucket

SERVER = Snapshot({"ntp": 123}, ntp={"stratum": 10, "leap": 1})
SECOND = 10**9
NOW = 1_795_000_000 * SECOND
NTP_OF_1970 = 2_208_988_800
HEADER = struct.Struct(">BBbbIII4Q")


def ntp_time(ns: int) -> int:
    seconds, rest = divmod(ns, SECOND)
    return (seconds + NTP_OF_1970) % 2**32 << 32 | (rest << 32) // SECOND


class Client:
    """A client in interleaved mode: sends back the timestamps of the last reply."""

    def __init__(self, state: ThreadState) -> None:
        self.state = state
        self.origin, self.receive, self.transmit = 0, 0, 1000
        self.now = NOW

    def ask(self, late: int = 1000, wait: int = SECOND, version: int = 4) -> tuple[str, int]:
        """One exchange whose reply leaves ``late`` ns after the request: verdict, transmit time."""
        self.now += wait
        self.transmit += 2
        first = version << 3 | 3
        request = HEADER.pack(first, 0, 6, 0, 0, 0, 0, 0, self.origin, self.receive, self.transmit)
        verdict, reply = answer(
            SERVER, "ntp", request, rx_ns=self.now, tx_ns=self.now + late, state=self.state
        )
        assert reply is not None
        *_, origin, received, transmitted = HEADER.unpack(reply)
        assert origin == (self.receive if verdict == "ntp_interleaved" else self.transmit)
        self.origin, self.receive = received, self.transmit + 1
        return verdict, transmitted


@pytest.fixture
def state() -> ThreadState:
    return ThreadState(interleaved=64)


def test_the_last_milliseconds_of_era_0(state: ThreadState) -> None:
    """2036: the first receive timestamp is just before zero, and odd like all of them."""
    client = Client(state)
    client.now = (2**32 - NTP_OF_1970) * SECOND - 1_000_000
    client.ask(wait=0)
    assert client.origin & 1 and client.transmit


def test_the_third_reply_is_the_first_interleaved_one(state: ThreadState) -> None:
    """Like chronyd: only clients that send our receive timestamp back are remembered."""
    client = Client(state)
    assert client.ask(1000)[0] == "ntp_answered"
    assert client.ask(2000)[0] == "ntp_answered"
    left = client.now + 2000
    assert client.ask(3000) == ("ntp_interleaved", ntp_time(left) & ~1)
    left = client.now + 3000
    assert client.ask(4000) == ("ntp_interleaved", ntp_time(left) & ~1)


def test_a_replay_gets_a_basic_answer(state: ThreadState) -> None:
    client = Client(state)
    client.ask()
    client.ask()
    again = client.origin, client.receive
    assert client.ask()[0] == "ntp_interleaved"
    client.origin, client.receive = again
    assert client.ask()[0] == "ntp_answered"


def test_equal_receive_and_transmit_timestamps_mean_basic(state: ThreadState) -> None:
    client = Client(state)
    client.ask()
    client.ask()
    client.receive = client.transmit + 2
    assert client.ask()[0] == "ntp_answered"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_only_version_4(state: ThreadState, version: int) -> None:
    client = Client(state)
    assert {client.ask(version=version)[0] for _ in range(4)} == {"ntp_answered"}


def test_off() -> None:
    client = Client(ThreadState())
    assert {client.ask()[0] for _ in range(4)} == {"ntp_answered"}


def test_simultaneous_receive_timestamps_differ(state: ThreadState) -> None:
    """They identify the reply, so two requests with the same clock read must not share one."""
    clients = [Client(state) for _ in range(16)]
    for client in clients:
        client.ask()
    assert len({client.origin for client in clients}) == len(clients)
    assert all(client.origin & 1 for client in clients)
    for late, client in enumerate(clients):
        client.ask(1000 + 1000 * late)
    for late, client in enumerate(clients):
        left = client.now + 1000 + 1000 * late
        assert client.ask() == ("ntp_interleaved", ntp_time(left) & ~1)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10**6)), max_size=80))
def test_never_the_transmit_time_of_another_reply(turns: list[tuple[int, int]]) -> None:
    """Eight clients in any order over a table of four entries: correct, or basic."""
    state = ThreadState(interleaved=4)
    clients = [Client(state) for _ in range(8)]
    left = [0] * len(clients)
    now = NOW
    for who, late in turns:
        now += 1_000_000
        clients[who].now = now - SECOND
        verdict, transmitted = clients[who].ask(late)
        if verdict == "ntp_interleaved":
            # Two units: a receive timestamp that was advanced pushes the transmit time along.
            assert 0 <= (transmitted - (ntp_time(left[who]) & ~1)) % 2**64 <= 2
        left[who] = now + late


def test_the_table_forgets_the_oldest() -> None:
    state = ThreadState(interleaved=4)
    clients = [Client(state) for _ in range(5)]
    for client in clients:
        client.ask()
    for number, client in enumerate(clients):
        client.now = NOW + number * SECOND
        client.ask()
    verdicts = [client.ask(wait=60 * SECOND)[0] for client in reversed(clients)]
    assert verdicts == ["ntp_interleaved"] * 4 + ["ntp_answered"]


@pytest.mark.parametrize("entries", [1, 2, 3, 5, 100])
def test_invalid_sizes(entries: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        ThreadState(interleaved=entries)


STATE = {
    "leap": 2,
    "stratum": 3,
    "root_delay": 100,
    "root_dispersion": 200,
    "refid": 0x0A000001,
    "reference": ntp_time(NOW - 5 * SECOND),
    "updated_ns": 1000 * SECOND,
    "drift_ppm": 15,
}


class TestState:
    """struct ntp_state as the replies of a batch carry it."""

    def reply(self, mono_ns: int, rx: int = NOW, **changes: int) -> list[int]:
        server = Snapshot({"ntp": 123}, ntp=STATE | changes)
        payload = bytes([0x23]) + bytes(47)
        _, reply = answer(server, "ntp", payload, rx_ns=rx, tx_ns=rx + 1000, mono_ns=mono_ns)
        assert reply is not None
        return list(HEADER.unpack(reply))

    @pytest.mark.parametrize("age", [0, 1, 60, 3600, 86400, 10**7])
    def test_the_dispersion_grows_by_15_ppm(self, age: int) -> None:
        first, stratum, _, _, delay, dispersion, refid, reference, *_ = self.reply(
            (1000 + age) * SECOND
        )
        assert (first >> 6, stratum, delay, refid) == (2, 3, 100, 0x0A000001)
        assert reference == STATE["reference"]
        exact = 200 + age * 15e-6 * 65536
        assert exact <= dispersion < exact + 1.01

    def test_a_clock_before_the_update_does_not_shrink_it(self) -> None:
        assert self.reply(0)[5] == 200

    def test_it_saturates(self) -> None:
        assert self.reply(1001 * SECOND, root_dispersion=2**32 - 1)[5] == 2**32 - 1

    def test_unsynchronised_from_the_moment_it_expires(self) -> None:
        limit = 1500 * SECOND
        assert self.reply(limit - 1, expires_ns=limit)[0] >> 6 == 2
        first, stratum, _, _, delay, _, refid, *_ = self.reply(limit, expires_ns=limit)
        assert (first >> 6, stratum, refid) == (3, 0, 0)
        assert delay == 65536

    def test_an_announced_leap_second_ends_with_the_day(self) -> None:
        midnight = NOW + 100 * SECOND
        before = self.reply(1000 * SECOND, rx=midnight - 1, leap_ends_ns=midnight)
        after = self.reply(1000 * SECOND, rx=midnight, leap_ends_ns=midnight)
        assert (before[0] >> 6, after[0] >> 6) == (2, 0)


@given(st.integers(-(2**40), 2**40))
def test_error_buckets_are_in_order_and_narrow(ns: int) -> None:
    assert error_bucket(ns) <= error_bucket(ns + 1)
    if 32 <= abs(ns) < 2**23:
        assert error_bucket(ns) != error_bucket(ns + ns // 8)


def test_what_is_counted(state: ThreadState) -> None:
    client = Client(state)
    for version in (4, 4, 3):
        client.ask(version=version)
    counts = state.counters()
    assert (counts["version"][4], counts["version"][3]) == (2, 1)
    assert counts["mode"][3] == 3
    assert sum(rank > 0 for rank in counts["clients"]) == 1
