"""The response rate limits' counters against an exact model, prefix by prefix."""

from __future__ import annotations

import random
from collections import defaultdict
from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xdpkit._core._rrl import RRL_BOUNDS, RrlRule, RrlTable

SECRET = bytes(range(1, 145))
SECOND = 1_000_000_000

# Prefix lengths and their factors, narrowest first: those of Knot DNS 3.4.
LEVELS = {
    4: ((32, 1), (24, 32), (20, 256), (18, 768)),
    6: ((128, 1), (64, 2), (56, 3), (48, 4), (32, 64)),
}
BITS = {4: 32, 6: 128}
EVERY = [(version, level) for version, levels in LEVELS.items() for level in range(len(levels))]

rates = st.integers(1, RRL_BOUNDS["rate"][1])
versions = st.sampled_from([4, 6])
# From boot to 9 years later.
starts = st.integers(0, (1 << 58) - 10_000 * SECOND)


class Asker:
    """A table with its own clock."""

    def __init__(self, rule: RrlRule, now: int = SECOND, entries: int = 1 << 16) -> None:
        self.table, self.rule, self.now = RrlTable(entries, SECRET), rule, now

    def ask(self, source: str | bytes, after_ns: int = 0) -> bool:
        self.now += after_ns
        packed = source if isinstance(source, bytes) else ip_address(source).packed
        return self.table.passes(self.rule, packed, self.now)

    def burst(self, source: str | bytes, count: int) -> int:
        """How many of ``count`` answers at once pass."""
        return sum(self.ask(source) for _ in range(count))


class Model:
    """Leaky buckets, one per prefix, in 1/16 ns; no table, no hash, nothing forgotten."""

    def __init__(self, rule: RrlRule) -> None:
        self.rule = rule
        self.level: dict[tuple[int, int], int] = defaultdict(int)
        self.at: dict[tuple[int, int], int] = defaultdict(int)

    def ask(self, source: bytes, now: int) -> bool:
        version = 4 if len(source) == 4 else 6
        wanted = []
        for bits, factor in LEVELS[version]:
            prefix = (bits, int.from_bytes(source) >> (BITS[version] - bits))
            level = max(0, self.level[prefix] - 16 * (now - self.at[prefix]))
            step = 16 * SECOND // (self.rule.rate * factor)
            wanted.append((prefix, level + step, step * self.rule.instant * factor))
        if any(level > most for _, level, most in wanted):
            return False
        for prefix, level, _ in wanted:
            self.level[prefix], self.at[prefix] = level, now
        return True


@st.composite
def sources(draw: st.DrawFn) -> list[bytes]:
    """Some addresses of one family that share more or fewer prefixes."""
    version = draw(versions)
    first = draw(st.integers(0, 2 ** BITS[version] - 1))
    edges = [BITS[version] - bits for bits, _ in LEVELS[version]]
    moved = st.builds(
        lambda at, by: first ^ (by << at) % 2 ** BITS[version],
        st.sampled_from([0, *edges]),
        st.integers(0, 7),
    )
    numbers = draw(st.lists(moved, min_size=1, max_size=12))
    return [number.to_bytes(BITS[version] // 8) for number in numbers]


# Two prefixes of this source share a line.
@example(1, 1, 0, [bytes.fromhex("00000000000000000000002599d2285f")], [(0, 0, 2)])
@settings(max_examples=300)
@given(
    st.integers(1, 200) | rates,
    st.integers(1, 3),
    starts,
    sources(),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 1500), st.integers(1, 60)), max_size=60),
)
def test_it_counts_as_the_model_does(
    rate: int, instant: int, start: int, known: list[bytes], steps: list[tuple[int, int, int]]
) -> None:
    """Pauses worth up to a few answers, then a few answers at once to one source."""
    rule = RrlRule(rate, instant)
    asker, model = Asker(rule, start), Model(rule)
    for which, rest, count in steps:
        asker.now += rest * SECOND // (512 * rate)
        for _ in range(count):
            source = known[which % len(known)]
            assert asker.ask(source) == model.ask(source, asker.now)


@given(rates, st.integers(1, 1000), starts, versions, st.integers(1, 2**32 - 1))
def test_a_source_that_keeps_to_the_rate_is_never_limited(
    rate: int, instant: int, start: int, version: int, host: int
) -> None:
    """Starting with a full bucket, and whatever the size of the table."""
    asker = Asker(RrlRule(rate, min(instant, 20)), start, entries=4)
    source = host.to_bytes(4) * (1 if version == 4 else 4)
    while asker.ask(source):
        pass
    gap = -(-SECOND // rate)
    assert all(asker.ask(source, gap) for _ in range(300))


@pytest.mark.parametrize("version", LEVELS)
def test_a_burst_is_the_instant_and_then_the_rate_passes(version: int) -> None:
    source = "192.0.2.1" if version == 4 else "2001:db8::1"
    asker = Asker(RrlRule())
    assert asker.burst(source, 10_000) == 125
    # Asked a thousand times a second for ten seconds.
    assert sum(asker.ask(source, SECOND // 1000) for _ in range(10_000)) == 500
    # Part of the bucket after a pause of 1.5 s, and all of it after any that is long enough.
    asker.now += 3 * SECOND // 2
    assert asker.burst(source, 1000) == 75
    asker.now += 5 * SECOND // 2
    assert asker.burst(source, 1000) == 125
    asker.now += 1000 * SECOND
    assert asker.burst(source, 1000) == 125


def hosts(version: int, level: int, count: int) -> list[bytes]:
    """Addresses in one prefix of this level, spread so that no narrower prefix limits them."""
    bits = LEVELS[version][level][0]
    free = BITS[version] - bits
    base = int(ip_address("198.18.0.0" if version == 4 else "2001:db8::"))
    # Evenly spread over the prefix: in steps of the largest power of two that leaves room.
    step = max(0, free - (count - 1).bit_length())
    return [(base + (n << step)).to_bytes(BITS[version] // 8) for n in range(count)]


@pytest.mark.parametrize("version, level", EVERY)
@pytest.mark.parametrize("instant", [1, 2, 5])
def test_each_prefix_has_its_own_bound(version: int, level: int, instant: int) -> None:
    factor = LEVELS[version][level][1]
    asker = Asker(RrlRule(rate=10, instant=instant))
    wide = hosts(version, level, 1 << (factor.bit_length() + 1)) if level else hosts(version, 0, 1)
    passed = sum(asker.burst(source, instant + 1) for source in wide)
    assert passed == instant * factor
    # A second later its rate has come back; an address alone cannot take more than its own.
    asker.now += SECOND
    passed = sum(asker.burst(source, 20) for source in wide)
    assert passed == min(10, instant) * factor


@pytest.mark.parametrize("version, level", EVERY)
def test_outside_of_the_prefix_nothing_is_counted(version: int, level: int) -> None:
    bits, factor = LEVELS[version][level]
    asker = Asker(RrlRule(rate=1, instant=1))
    inside = (
        hosts(version, level, 1 << (factor.bit_length() + 1)) if level else hosts(version, 0, 1)
    )
    for source in inside:
        asker.ask(source)
    beside = int.from_bytes(inside[0]) ^ 1 << (BITS[version] - bits)
    assert not asker.ask(inside[-1])
    # The widest prefix contains them all; in another one everything is new.
    if level + 1 < len(LEVELS[version]):
        beside ^= 1 << (BITS[version] - LEVELS[version][-1][0])
    assert asker.ask(beside.to_bytes(BITS[version] // 8))


def test_a_victim_takes_no_more_than_its_own_rate_from_its_neighbors() -> None:
    """Somebody sends 100,000 requests a second with one spoofed source."""
    asker = Asker(RrlRule())
    victim = sum(asker.ask("192.0.2.66", SECOND // 100_000) for _ in range(100_500))
    assert victim == 125 + 50
    # The /24 has 32 times an address's burst, and has not yet recovered the victim's last one.
    neighbors = [asker.burst(f"192.0.2.{n}", 125) for n in range(1, 32)]
    assert neighbors == [125] * 31
    # The /20, which has enough for all of that, also contains a quiet /24.
    assert asker.burst("192.0.3.1", 200) == 125


def test_the_families_do_not_share() -> None:
    packed = ip_address("192.0.2.1").packed
    asker = Asker(RrlRule(instant=1))
    for source in (
        packed,
        packed + bytes(12),
        bytes(12) + packed,
        bytes(10) + b"\xff\xff" + packed,
    ):
        assert [asker.ask(source) for _ in range(2)] == [True, False]


# ------------------------------------------------------------------------------------------------


def million(chance: random.Random) -> list[bytes]:
    """Spoofed sources, from everywhere."""
    return [chance.randbytes(4) for _ in range(1_000_000)]


def test_among_a_million_spoofed_sources_a_quiet_one_is_not_limited() -> None:
    """Nor is one at its limit forgotten, however often the table is overwritten."""
    asker = Asker(RrlRule())
    assert asker.burst("203.0.113.9", 500) == 125
    passed = 0
    for n, source in enumerate(million(random.Random(1))):
        asker.now += SECOND // 1_000_000
        asker.ask(source)
        if n % 1000 == 999:
            passed += asker.ask("203.0.113.9")
    assert passed == 50
    assert asker.burst("198.51.100.7", 500) == 125


def test_a_quiet_source_shares_the_limits_of_its_wider_prefixes() -> None:
    asker = Asker(RrlRule())
    for n in range(100_000):
        asker.ask(bytes([192, 0, 2, n % 256]), SECOND // 1_000_000)
    # The /24 is at its limit, the /20 is not.
    assert not asker.ask("192.0.2.0")
    assert asker.burst("192.0.3.1", 500) == 125


def test_a_full_table_forgets_and_limits_nobody() -> None:
    """One line of four entries, and sources that share no prefix."""
    asker = Asker(RrlRule(rate=1, instant=1), entries=4)
    for n in range(50_000):
        assert asker.ask(n.to_bytes(4) + bytes(12))


def test_a_million_counters_are_all_distinct() -> None:
    """200,000 IPv6 sources that share no prefix: each has five counters of its own.

    A collision of two would limit the second source. With 64 bits of hash the probability of that
    is 10^12 / 2^65, 3 in a hundred million.
    """
    asker = Asker(RrlRule(rate=1, instant=1), entries=1 << 21)
    every = [n.to_bytes(4) + bytes(12) for n in range(200_000)]
    assert all(asker.ask(source) for source in every)
    # Nearly all are remembered: with this many entries 1 line in 230 overflows (admit/ratelimit.h).
    assert sum(asker.ask(source) for source in every) < 200_000 / 100


def test_the_secret_moves_sources_to_other_lines() -> None:
    """Sources that evict each other from one line of a tiny table may not under another secret."""
    rule = RrlRule(rate=1, instant=1)
    every = [bytes([n, 0, 0, 1]) for n in range(1, 8)]

    def forgotten(secret: bytes) -> tuple[bool, ...]:
        table = RrlTable(8, secret)
        for n, source in enumerate(every):
            table.passes(rule, source, SECOND + n)
        return tuple(table.passes(rule, source, SECOND + 100) for source in every)

    draw = random.Random(1)
    assert len({forgotten(draw.randbytes(144)) for _ in range(20)}) > 1


def test_a_rule_may_change_while_sources_are_known() -> None:
    """A reload: times keep their meaning, buckets have the new size."""
    asker = Asker(RrlRule(rate=1, instant=100))
    assert asker.burst("192.0.2.1", 200) == 100
    asker.rule = RrlRule(rate=50, instant=125)
    assert not asker.ask("192.0.2.1")
    # A full bucket is exactly full under the new rule, too.
    assert asker.ask("192.0.2.1", SECOND // 50)
    asker.now += 5 * SECOND // 2
    assert asker.burst("192.0.2.1", 200) == 125


def test_a_clock_that_goes_backward_leaves_at_most_a_full_bucket() -> None:
    asker = Asker(RrlRule(), now=1000 * SECOND)
    assert asker.burst("192.0.2.1", 200) == 125
    asker.now = SECOND
    assert not asker.ask("192.0.2.1")
    assert asker.ask("192.0.2.1", SECOND // 50)


# ------------------------------------------------------------------------------------------------


def test_rounding_gives_at_most_0_2_percent_too_much() -> None:
    """The shortest possible time per answer: a /18 at the highest rate."""
    rate = RRL_BOUNDS["rate"][1]
    asker = Asker(RrlRule(rate=rate, instant=1))
    wide = hosts(4, 3, 2048)
    for source in wide:
        asker.ask(source)
    passed = sum(asker.ask(wide[n * 1021 % 2048], 10) for n in range(200_000))
    earned = 200_000 * 10 * rate * 768 / SECOND
    assert earned <= passed + 1 and passed <= earned * 1.002 + 1


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 5, 12, 65535])
def test_a_size_that_is_no_power_of_two_is_refused(entries: int) -> None:
    with pytest.raises(ValueError, match=f"^{entries} entries: a power of two is needed, at"):
        RrlTable(entries)


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="a secret of 3 bytes"):
        RrlTable(64, b"abc")
    with pytest.raises(ValueError, match="an address of 5 bytes"):
        RrlTable(64).passes(RrlRule(), bytes(5), 0)
    with pytest.raises(ValueError, match="rate = 0 limits nobody"):
        RrlTable(64).passes(RrlRule(rate=0), bytes(4), 0)


@pytest.mark.parametrize("name, low, high", [(n, *RRL_BOUNDS[n]) for n in RRL_BOUNDS])
def test_a_rule_out_of_bounds_is_refused(name: str, low: int, high: int) -> None:
    table = RrlTable(64, SECRET)
    for value in (max(low, 1), high):
        assert RrlTable(64, SECRET).passes(RrlRule()._replace(**{name: value}), bytes(4), SECOND)
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{name} = {value} is not within {low}..{high}"):
            table.passes(RrlRule()._replace(**{name: value}), bytes(4), SECOND)
