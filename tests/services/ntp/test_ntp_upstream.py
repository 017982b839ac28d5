"""The mirrored daemon: which of its answers are accepted, and which are ignored and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import anyio
import pytest
from time_server import REFERENCE, Fault, TimeServer, put, right, silent

from xdpkit.services.ntp.state import SHORT_UNITS, State
from xdpkit.services.ntp.upstream import Upstream

HOLDOVER = 600

# More polls than a busy machine needs for an undisturbed one.
MANY = 30


@pytest.fixture
def daemon() -> Iterator[TimeServer]:
    with TimeServer() as daemon:
        yield daemon


@pytest.fixture
def upstream(daemon: TimeServer) -> Iterator[Upstream]:
    upstream = Upstream(daemon.where, HOLDOVER)
    yield upstream
    upstream.close()


def poll_until(upstream: Upstream, done: Callable[[], bool]) -> None:
    """Polls, at least once, until ``done`` is true."""

    async def poll() -> None:
        for _ in range(MANY):
            await upstream.poll()
            if done():
                return

    anyio.run(poll)
    assert done(), upstream.facts(time.monotonic_ns())


def state_of(upstream: Upstream) -> State | None:
    return upstream.current(time.monotonic_ns())


def answered(upstream: Upstream) -> State:
    """The state after one more valid answer."""
    before = upstream.answers
    poll_until(upstream, lambda: upstream.answers > before)
    state = state_of(upstream)
    assert state is not None
    return state


def test_a_valid_answer_is_mirrored(daemon: TimeServer, upstream: Upstream) -> None:
    before = time.monotonic_ns()
    state = answered(upstream)
    assert (state.leap, state.stratum, state.precision) == (0, 3, -24)
    assert (state.root_delay, state.refid) == (0x1234, 0xC0000207)
    # One clock: its receive and transmit times lie within the exchange; only rounding is added.
    assert state.root_dispersion == 0x5678 + 1
    assert state.reference == REFERENCE
    assert before <= state.updated_ns <= time.monotonic_ns()
    assert state.expires_ns == state.updated_ns + HOLDOVER * 10**9
    assert (state.drift_ppm, state.leap_ends_ns) == (15, 0)
    facts = upstream.facts(time.monotonic_ns())
    assert facts["name"] == str(daemon.where) and facts["state"] == "synchronised"


@pytest.mark.parametrize("leap", [1, 2])
def test_an_announced_leap_second(daemon: TimeServer, upstream: Upstream, leap: int) -> None:
    daemon.fault = put(0, leap << 6 | 4 << 3 | 4)
    before = time.time_ns()
    state = answered(upstream)
    day = 86_400 * 10**9
    assert state.leap == leap
    assert state.leap_ends_ns in ((before // day + 1) * day, (time.time_ns() // day + 1) * day)


def test_every_request_is_different(daemon: TimeServer, upstream: Upstream) -> None:
    for _ in range(5):
        answered(upstream)
    assert len(set(daemon.marks)) == len(daemon.marks) >= 5
    assert len(set(daemon.ports)) > 1


def test_ipv6() -> None:
    try:
        daemon = TimeServer(host="::1")
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    with daemon:
        upstream = Upstream(daemon.where, HOLDOVER)
        assert upstream.name == f"[::1]:{daemon.where.port}"
        assert answered(upstream).stratum == 3


def another_time(seconds: int) -> Fault:
    """A reply that is off by ``seconds``."""

    def fault(reply: bytes) -> list[bytes]:
        data = bytearray(reply)
        for at in (32, 40):
            moved = int.from_bytes(data[at : at + 4]) + seconds
            data[at : at + 4] = moved.to_bytes(4)
        return [bytes(data)]

    return fault


@pytest.mark.parametrize("seconds", [-3, 2])
def test_another_time_is_a_dispersion(daemon: TimeServer, upstream: Upstream, seconds: int) -> None:
    daemon.fault = another_time(seconds)
    added = answered(upstream).root_dispersion - 0x5678
    # At most the difference; the part within the exchange cannot be detected.
    assert (abs(seconds) - 1) * SHORT_UNITS < added <= abs(seconds) * SHORT_UNITS + 1


GARBAGE: dict[str, tuple[Fault, str]] = {
    "origin": (put(24, 1, 2, 3, 4, 5, 6, 7, 8), "origin"),
    "origin zero": (put(24, *bytes(8)), "origin"),
    "mode 3": (put(0, 4 << 3 | 3), "mode"),
    "mode 2": (put(0, 4 << 3 | 2), "mode"),
    "mode 5": (put(0, 4 << 3 | 5), "mode"),
    "mode 6": (put(0, 4 << 3 | 6), "mode"),
    "version 3": (put(0, 3 << 3 | 4), "version"),
    "version 5": (put(0, 5 << 3 | 4), "version"),
    "stratum 0": (put(1, 0), "stratum"),
    "stratum 16": (put(1, 16), "stratum"),
    "stratum 255": (put(1, 255), "stratum"),
    "LI 3": (put(0, 3 << 6 | 4 << 3 | 4), "unsynchronised"),
    "LI 3, stratum 0": (put(0, 3 << 6 | 4 << 3 | 4, 0), "unsynchronised"),
    "no transmit time": (put(40, *bytes(8)), "timestamp"),
    "no receive time": (put(32, *bytes(8)), "timestamp"),
    "47 bytes": (lambda reply: [reply[:47]], "length"),
    "nothing": (lambda _: [b""], "length"),
    "1 byte": (lambda reply: [reply[:1]], "length"),
    "with a MAC": (lambda reply: [reply + bytes(20)], "length"),
    "60,000 bytes": (lambda reply: [reply + bytes(60_000)], "length"),
    "the request": (lambda reply: [bytes([0x23]) + bytes(39) + reply[24:32]], "mode"),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_ignored(daemon: TimeServer, upstream: Upstream, kind: str) -> None:
    """It has no effect before a valid answer, and does not disturb the state after one."""
    fault, reason = GARBAGE[kind]
    daemon.fault = fault
    poll_until(upstream, lambda: upstream.ignored.get(reason, 0) >= 1)
    assert upstream.answers == 0 and state_of(upstream) is None
    assert upstream.facts(time.monotonic_ns())["state"] == "unsynchronised"
    assert upstream.problem() == upstream.fixes[reason]
    daemon.fault = right
    state = answered(upstream)
    ignored = upstream.ignored[reason]
    daemon.fault = fault
    poll_until(upstream, lambda: upstream.ignored[reason] > ignored)
    assert state_of(upstream) == state
    assert upstream.facts(time.monotonic_ns())["state"] == "holdover"
    assert upstream.current(state.expires_ns - 1) == state
    assert upstream.current(state.expires_ns) is None


def test_from_another_port(daemon: TimeServer, upstream: Upstream) -> None:
    daemon.elsewhere = True
    poll_until(upstream, lambda: upstream.ignored.get("no_answer", 0) >= 1)
    assert upstream.answers == 0 and state_of(upstream) is None
    daemon.elsewhere = False
    answered(upstream)


def test_no_answer(daemon: TimeServer, upstream: Upstream) -> None:
    daemon.fault = silent
    anyio.run(upstream.poll)
    # Not counted yet: it may still arrive.
    assert (upstream.polls, upstream.ignored) == (1, {})
    assert upstream.problem() == upstream.fixes["no_answer"]
    daemon.fault = right
    answered(upstream)
    assert upstream.ignored["no_answer"] >= 1 and "late" not in upstream.ignored


def test_late(daemon: TimeServer, upstream: Upstream) -> None:
    """An answer after its second does not count, nor does it fool the next request."""
    daemon.delay = 1.3
    anyio.run(upstream.poll)
    assert upstream.answers == 0 and state_of(upstream) is None
    daemon.delay = 0
    answered(upstream)
    assert upstream.ignored["late"] >= 1
    assert upstream.polls == upstream.answers + sum(upstream.ignored.values())


def test_refused_and_back(daemon: TimeServer, upstream: Upstream) -> None:
    answered(upstream)
    daemon.stop()
    poll_until(upstream, lambda: upstream.ignored.get("refused", 0) >= 2)
    assert upstream.problem().startswith("nothing listens there: start it")
    assert state_of(upstream) is not None


def test_two_answers_to_one_request(daemon: TimeServer, upstream: Upstream) -> None:
    """The second arrives at a closed port, so it is not taken for the next request's."""
    daemon.fault = lambda reply: [reply, reply]
    for _ in range(3):
        answered(upstream)
    assert "origin" not in upstream.ignored
