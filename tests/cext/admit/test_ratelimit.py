"""The rate limits' token buckets against an exact model, and what identifies a source."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._ratelimit import OUTCOMES, RATELIMIT_BOUNDS, RateLimitRule, RateLimitTable

SECRET = bytes(range(1, 33))
HOST = bytes([192, 0, 2, 1])
SECOND = 1_000_000_000

# No leak: what passes is within the limit.
STRICT = RateLimitRule(leak=0)

# Tokens are 1/256 of a request; nothing is promised at a finer grain.
GRAIN = Fraction(1, 256)

intervals = st.integers(*RATELIMIT_BOUNDS["interval"])
bursts = st.integers(*RATELIMIT_BOUNDS["burst"])
# From boot to a hundred years later.
starts = st.integers(0, 100 * 366 * 86400 * SECOND)


def seconds(interval: int) -> Fraction:
    return Fraction(2) ** interval


class Asker:
    """One source and its table, with its own clock."""

    def __init__(self, rule: RateLimitRule, now: int = SECOND, source: bytes = HOST) -> None:
        self.table, self.rule = RateLimitTable(64, SECRET), rule
        self.now, self.source = now, source

    def ask(self, after_ns: int = 0, random_bits: int = 1) -> str:
        self.now += after_ns
        return self.table.check(self.rule, self.source, self.now, random_bits)


@given(
    intervals,
    bursts,
    starts,
    st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 40)), max_size=40),
)
def test_the_bucket_is_exact(
    interval: int, burst: int, start: int, steps: list[tuple[int, int]]
) -> None:
    """Pauses of up to a few intervals, each followed by a burst of requests."""
    asker = Asker(STRICT._replace(interval=interval, burst=burst), start)
    tokens, last = Fraction(burst), start
    for rest, requests in steps:
        asker.now += int(seconds(interval) * SECOND * rest / 256)
        tokens += Fraction(asker.now - last, SECOND) / seconds(interval)
        tokens, last = min(tokens, Fraction(burst)), asker.now
        for _ in range(requests):
            outcome = asker.ask()
            if tokens >= 1 + GRAIN:
                assert outcome == "pass"
            elif tokens < 1 - GRAIN:
                assert outcome == "drop"
            tokens -= outcome == "pass"


@given(intervals, bursts, starts, st.lists(st.integers(0, SECOND), min_size=300, max_size=300))
def test_one_request_an_interval_is_never_dropped(
    interval: int, burst: int, start: int, extra: list[int]
) -> None:
    asker = Asker(STRICT._replace(interval=interval, burst=burst), start)
    while asker.ask() == "pass":
        pass
    # Starting with the emptiest bucket, at the shortest gap and at longer ones.
    gap = math.ceil(seconds(interval) * SECOND)
    assert asker.ask(gap) == "pass"
    for more in [0] * len(extra) + extra:
        assert asker.ask(gap + more) == "pass"


@given(intervals, bursts, starts)
def test_no_more_than_the_limit_passes(interval: int, burst: int, start: int) -> None:
    """Asked 16 times an interval, for 32 intervals."""
    asker = Asker(STRICT._replace(interval=interval, burst=burst), start)
    step = max(1, int(seconds(interval) * SECOND / 16))
    passed = sum(asker.ask(step) == "pass" for _ in range(512))
    earned = Fraction(512 * step, SECOND) / seconds(interval)
    assert passed <= burst + earned + 1
    assert passed >= min(512, int(burst + earned - 1))


@pytest.mark.parametrize("interval", RATELIMIT_BOUNDS["interval"])
@pytest.mark.parametrize("bits", [31, 32, 33, 48, 56, 62])
def test_after_any_rest_a_burst_passes_and_no_more(interval: int, bits: int) -> None:
    """Pauses of powers of two, in 1/256 of the interval and in nanoseconds: no counter wraps."""
    units = [math.ceil(seconds(interval) * SECOND * (2**bits + n) / 256) for n in (-1, 0, 1)]
    for rest in {min(rest, 1 << 63) for rest in (*units, 1 << bits)}:
        if rest < 255 * seconds(interval) * SECOND:
            continue
        asker = Asker(STRICT._replace(interval=interval, burst=255))
        assert [asker.ask() for _ in range(256)] == ["pass"] * 255 + ["drop"]
        assert [asker.ask(rest), *(asker.ask() for _ in range(255))] == ["pass"] * 255 + ["drop"]


@given(intervals, st.integers(1, 3), starts, st.lists(st.integers(-64, 64), max_size=60))
def test_a_clock_that_goes_backward_gives_and_takes_nothing(
    interval: int, burst: int, start: int, moves: list[int]
) -> None:
    """It counts as stopped until it has caught up."""
    rule = STRICT._replace(interval=interval, burst=burst)
    odd, even = Asker(rule, start), Asker(rule, start)
    for move in [0, *moves]:
        # In sixteenths of the interval.
        odd.now = max(0, odd.now + int(move * seconds(interval) * SECOND / 16))
        even.now = max(even.now, odd.now)
        assert odd.ask() == even.ask()


def test_a_stopped_clock_refills_nothing() -> None:
    asker = Asker(STRICT)
    assert [asker.ask() for _ in range(100)] == ["pass"] * 8 + ["drop"] * 92


# ------------------------------------------------------------------------------------------------


def test_two_sources_do_not_share() -> None:
    table = RateLimitTable(1 << 16, SECRET)
    sources = [n.to_bytes(4, "big") for n in range(2000)]
    for _ in range(8):
        assert {table.check(STRICT, source, SECOND, 1) for source in sources} == {"pass"}
    assert {table.check(STRICT, source, SECOND, 1) for source in sources} == {"drop"}


def test_the_families_do_not_share() -> None:
    table = RateLimitTable(64, SECRET)
    rule = STRICT._replace(burst=1, ipv6_prefix=128)
    for source in (HOST, HOST + bytes(12), bytes(12) + HOST, bytes(10) + b"\xff\xff" + HOST):
        assert [table.check(rule, source, SECOND, 1) for _ in range(2)] == ["pass", "drop"]


@given(st.data())
def test_a_prefix_is_one_source(data: st.DataObject) -> None:
    version, bits = data.draw(st.sampled_from([("ipv4_prefix", 32), ("ipv6_prefix", 128)]))
    prefix = data.draw(st.integers(1, bits))
    rule = STRICT._replace(burst=1, **{version: prefix})
    first = data.draw(st.integers(0, 2**bits - 1))
    flipped = data.draw(st.integers(0, bits - 1))
    table = RateLimitTable(64, SECRET)
    assert table.check(rule, first.to_bytes(bits // 8, "big"), SECOND, 1) == "pass"
    outcome = table.check(rule, (first ^ 1 << flipped).to_bytes(bits // 8, "big"), SECOND, 1)
    # Bit 0 is the last one of the address.
    assert outcome == ("drop" if flipped < bits - prefix else "pass")


def test_the_secret_moves_sources_to_other_buckets() -> None:
    """Sources that evict each other from one line of a tiny table may not under another secret."""
    sources = [ip_address(n).packed for n in range(0xC0000200, 0xC0000200 + 5)]
    rule = STRICT._replace(burst=1)

    def kept(secret: bytes) -> tuple[bool, ...]:
        table = RateLimitTable(8, secret)
        for n, source in enumerate(sources):
            table.check(rule, source, SECOND + n, 1)
        return tuple(table.check(rule, source, SECOND + 9, 1) == "drop" for source in sources)

    draw = random.Random(1)
    assert len({kept(draw.randbytes(32)) for _ in range(20)}) > 1


def test_a_rule_may_change_while_sources_are_known() -> None:
    """A reload: buckets are capped at the new burst, times keep their meaning."""
    asker = Asker(STRICT._replace(interval=12, burst=255))
    assert asker.ask() == "pass"
    asker.rule = STRICT._replace(interval=-19, burst=2)
    assert [asker.ask() for _ in range(3)] == ["pass", "pass", "drop"]
    asker.rule = STRICT._replace(interval=3, burst=8)
    assert [asker.ask(), asker.ask(8 * SECOND), asker.ask()] == ["drop", "pass", "drop"]
    assert [asker.ask(64 * SECOND), *(asker.ask() for _ in range(8))] == ["pass"] * 8 + ["drop"]


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 5, 12, 65535])
def test_a_size_that_is_no_power_of_two_is_refused(entries: int) -> None:
    with pytest.raises(ValueError, match=f"^{entries} entries: a power of two is needed, at"):
        RateLimitTable(entries)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a secret of 3 bytes"):
        RateLimitTable(64, b"abc")
    with pytest.raises(ValueError, match="an address of 5 bytes"):
        RateLimitTable(64).check(STRICT, bytes(5), 0, 0)


@pytest.mark.parametrize("name, low, high", [(n, *RATELIMIT_BOUNDS[n]) for n in RATELIMIT_BOUNDS])
def test_a_rule_out_of_bounds_is_refused(name: str, low: int, high: int) -> None:
    table = RateLimitTable(64, SECRET)
    for value in (low, high):
        assert table.check(STRICT._replace(**{name: value}), HOST, SECOND, 1) in OUTCOMES
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{name} = {value} is not within {low}..{high}"):
            table.check(STRICT._replace(**{name: value}), HOST, SECOND, 1)
