"""What happens over the limit: the leak and its inversion, KoD, and more sources than entries."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from xdpkit._core._ratelimit import RateLimitRule, RateLimitTable

SECRET = bytes(range(1, 33))
HOST = bytes([192, 0, 2, 1])
SECOND = 1_000_000_000
DRAWS = 20000

CHRONY = RateLimitRule()
STRICT = RateLimitRule(leak=0)


class Client:
    """A source that waits ``answered`` seconds after an answer, ``dropped`` after none."""

    def __init__(self, answered: float, dropped: float, rule: RateLimitRule = CHRONY) -> None:
        self.table, self.rule = RateLimitTable(64, SECRET), rule
        self.answered, self.dropped = answered, dropped
        self.now, self.draw = SECOND, random.Random(1)

    def gap(self, outcome: str) -> float:
        return self.answered if outcome in ("pass", "leak") else self.dropped

    def ask(self, requests: int) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for _ in range(requests):
            outcome = self.table.check(self.rule, HOST, self.now, self.draw.getrandbits(32))
            outcomes[outcome] += 1
            self.now += int(self.gap(outcome) * SECOND)
        return outcomes

    def leaked(self) -> float:
        """The steady share of the requests over the limit that is answered."""
        self.ask(1000)
        outcomes = self.ask(DRAWS)
        return outcomes["leak"] / (outcomes.total() - outcomes["pass"])


class Crowd(Client):
    """Many hosts behind one address: the gaps of a Poisson process."""

    def gap(self, outcome: str) -> float:
        return self.draw.expovariate(1 / super().gap(outcome))


def near(share: float) -> object:
    """Within six standard deviations of a share over all draws."""
    return pytest.approx(share, abs=6 * (share * (1 - share) / DRAWS) ** 0.5)


@pytest.mark.parametrize("leak", [1, 2, 3, 4])
def test_the_leak_is_its_share_of_requests_over_the_limit(leak: int) -> None:
    assert Client(0.01, 0.01, CHRONY._replace(leak=leak)).leaked() == near(2**-leak)


@pytest.mark.parametrize("kod", [1, 2, 3, 4])
def test_kod_is_its_share_of_what_did_not_leak(kod: int) -> None:
    outcomes = Client(0.01, 0.01, CHRONY._replace(kod=kod)).ask(DRAWS)
    assert outcomes["kod"] / (outcomes["kod"] + outcomes["drop"]) == near(2**-kod)
    over = outcomes.total() - outcomes["pass"]
    assert outcomes["leak"] / over == near(1 / 4)


def test_without_leak_and_kod_everything_over_the_limit_is_dropped() -> None:
    outcomes = Client(0.01, 0.01, STRICT).ask(DRAWS)
    assert set(outcomes) == {"pass", "drop"}
    # 200 seconds, at one request in 8.
    assert outcomes["pass"] == 8 + 24


def test_a_leak_takes_what_was_left_in_the_bucket() -> None:
    table = RateLimitTable(64, SECRET)
    rule = CHRONY._replace(burst=1)
    asks = [(0, 1), (7, 0), (8, 1), (16, 1)]
    outcomes = [table.check(rule, HOST, (1 + at) * SECOND, draw) for at, draw in asks]
    assert outcomes == ["pass", "leak", "drop", "pass"]


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [0.05, 1, 4, 7])
@pytest.mark.parametrize("leak", [1, 2, 3, 4])
def test_clients_that_ask_more_when_dropped_get_most_answers(answered: float, leak: int) -> None:
    share = Client(answered, answered / 3, CHRONY._replace(leak=leak)).leaked()
    assert share == near(1 - 2**-leak)


@pytest.mark.parametrize("answered", [0.001, 0.05, 1, 4, 7])
@pytest.mark.parametrize("times", [1, 1.5, 0.75, 0.3])
def test_steady_clients_and_those_that_slow_down_do_not(answered: float, times: float) -> None:
    share = Client(answered, answered / times, CHRONY._replace(leak=3)).leaked()
    assert share == near(1 / 8)


def test_without_a_leak_there_is_nothing_to_invert() -> None:
    assert Client(1, 0.1, STRICT).leaked() == 0


def test_a_crowd_is_rarely_mistaken_for_a_client_that_asks_more() -> None:
    assert Crowd(1, 1).leaked() < 0.32
    assert Crowd(1, 1 / 8).leaked() == pytest.approx(0.75, abs=0.05)


def test_one_shorter_gap_after_a_drop_is_not_yet_a_change() -> None:
    table = RateLimitTable(64, SECRET)
    rule = CHRONY._replace(burst=1)
    # A draw of 1 leaks only if the leak is inverted.
    outcomes = [table.check(rule, HOST, (100 + at) * SECOND // 100, 1) for at in (0, 400, 450)]
    assert outcomes == ["pass", "drop", "drop"]


# ------------------------------------------------------------------------------------------------


def test_a_spoofed_flood_does_not_harm_a_source_within_the_limit() -> None:
    """A million sources through 65536 entries, in 640 s, and a client that asks every 64 s."""
    table, draw = RateLimitTable(1 << 16, SECRET), random.Random(1)
    outcomes: Counter[str] = Counter()
    for n in range(1_000_000):
        now = SECOND + n * 640_000
        if n % 100_000 == 0:
            assert table.check(STRICT, HOST, now, 1) == "pass"
        outcomes[table.check(STRICT, draw.randbytes(4), now, 1)] += 1
    assert outcomes.total() == outcomes["pass"]


@pytest.mark.parametrize("before, rate, passed", [(8, 1, 0.125), (0, 16, 1 / 128)])
def test_a_source_over_the_limit_stays_limited_in_a_flood(
    before: int, rate: int, passed: float
) -> None:
    """Each line of a small table gets 24 new sources a second, for 2000 seconds.

    A source limited before the flood stays limited if it keeps asking; a later one must be faster.
    """
    table, draw = RateLimitTable(64, SECRET), random.Random(1)
    outcomes: Counter[str] = Counter()
    for _ in range(before):
        table.check(STRICT, HOST, SECOND, 1)
    for n in range(2000 * rate):
        now = SECOND + n * SECOND // rate
        outcomes[table.check(STRICT, HOST, now, 1)] += 1
        for _ in range(16 * 24 // rate):
            assert table.check(STRICT, draw.randbytes(4), now, 1) == "pass"
    assert outcomes["pass"] / outcomes.total() == pytest.approx(passed, abs=0.005)


def test_a_forgotten_source_starts_over() -> None:
    """Five sources drain their buckets in a table that holds four."""
    table = RateLimitTable(4, SECRET)
    sources = [bytes([192, 0, 2, n]) for n in range(5)]
    for n, source in enumerate(sources):
        outcomes = [table.check(STRICT, source, (1 + n) * SECOND, 1) for _ in range(9)]
        assert outcomes == ["pass"] * 8 + ["drop"]
    # The last one took the entry of the first, which would have been full soonest.
    outcomes = [table.check(STRICT, source, 6 * SECOND, 1) for source in reversed(sources)]
    assert outcomes == ["drop"] * 4 + ["pass"]
