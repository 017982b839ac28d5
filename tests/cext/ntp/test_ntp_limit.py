"""The rate limit of a snapshot: with it a thread's table is used, without it nobody is limited."""

from __future__ import annotations

import pytest

from xdpkit._core._answer import answer
from xdpkit._core._ratelimit import RateLimitRule
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState

REQUEST = b"\x23\0\x04" + bytes(45)
FREE = Snapshot({"ntp": 123})
LIMITED = Snapshot({"ntp": 123}, limit=RateLimitRule(interval=12, burst=5, leak=0))


def polls(snapshot: Snapshot, state: ThreadState | None) -> list[int]:
    """The poll intervals of the answers to 60 requests at once."""
    replies = [answer(snapshot, "ntp", REQUEST, mono_ns=10**9, state=state) for _ in range(60)]
    return [reply[2] for _, reply in replies if reply]


@pytest.fixture
def state() -> ThreadState:
    """That of a thread with a table."""
    return ThreadState(limited=64)


def test_of_one_source_the_burst_is_answered(state: ThreadState) -> None:
    assert polls(LIMITED, state) == [12] * 5


def test_without_a_limit_all_are(state: ThreadState) -> None:
    assert polls(FREE, state) == [4] * 60


def test_taken_out_and_put_in_again(state: ThreadState) -> None:
    polls(LIMITED, state)
    assert polls(FREE, state) == [4] * 60
    assert polls(LIMITED, state) == []


def test_a_thread_without_a_table_limits_nobody() -> None:
    assert polls(LIMITED, ThreadState()) == [4] * 60
    assert polls(LIMITED, None) == [4] * 60
