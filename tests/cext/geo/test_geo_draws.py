"""Draws by weight from a selection, by the records in answers: the law, and what fits."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations
from math import sqrt

import pytest
from geo_arena import AAAA, ALL, CNAME, MX, TXT, A, Draw, GeoArena

from xdpkit._core._geo_selection import Generator, Selection
from xdpkit.services.dns.geo.chances import chances

MANY = 1_000_000
HEAD = 12
"""Bytes of a record before its RDATA."""


def address(number: int) -> bytes:
    """That of A record `number`."""
    return number.to_bytes(4, "big")


def selection(draw: Draw, states: bytes = b"") -> Selection:
    return Selection(GeoArena([[draw]], [f"f/{n}" for n in range(len(states))]).arena(), states)


def weighted(weights: Sequence[int], hosts: int) -> Selection:
    """Of A records of these weights."""
    return selection(Draw([address(n) for n in range(len(weights))], weights, hosts=hosts))


def answers(of: Selection, times: int, size: int, seed: int = 1) -> list[tuple[int, ...]]:
    """Which records were in answers of so many."""
    length = size * (HEAD + 4)
    data = of.draws(0, Generator(seed), times)
    assert len(data) == times * length
    numbers = [number for (number,) in struct.iter_unpack(">12xI", data)]
    return list(zip(*[iter(numbers)] * size, strict=True))


def successive(weights: Sequence[int], drawn: Sequence[int]) -> Fraction:
    """How likely it is that these are drawn in this order, without replacement."""
    chance, left = Fraction(1), sum(weights)
    for at in drawn:
        chance *= Fraction(weights[at], left)
        left -= weights[at]
    return chance


def assert_law(counts: Counter[object], law: dict[object, Fraction | float], total: int) -> None:
    """Chi-square, its statistic at most six standard deviations above its mean."""
    assert counts.keys() <= {key for key, chance in law.items() if chance}
    common = {key: float(chance) * total for key, chance in law.items() if chance * total >= 5}
    rest = total - sum(common.values())
    statistic = sum((counts[key] - mean) ** 2 / mean for key, mean in common.items())
    cells = len(common) - 1
    if rest >= 5:
        drawn = total - sum(counts[key] for key in common)
        statistic += (drawn - rest) ** 2 / rest
        cells += 1
    assert statistic <= cells + 6 * sqrt(2 * max(cells, 1)), (statistic, cells)


@pytest.mark.parametrize(
    "weights, hosts",
    [
        ([5, 3, 1, 1], 1),
        ([5, 3, 1, 1], 2),
        ([5, 3, 1, 1], 3),
        ([5, 3, 1, 1], 4),
        ([1, 1], 2),
        ([1000, 1, 2, 3], 3),
        ([2**32 - 1, 1, 1, 2], 3),
        ([512, 3_000_000, 1000, 20_000, 512, 900_000, 7], 2),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], 3),
        ([4, 4, 4, 4, 4, 4, 4, 4], 3),
    ],
)
def test_each_order_is_as_likely_as_of_successive_draws(weights: list[int], hosts: int) -> None:
    law = {drawn: successive(weights, drawn) for drawn in permutations(range(len(weights)), hosts)}
    assert sum(law.values()) == 1
    found = answers(weighted(weights, hosts), 100_000, hosts)
    assert_law(Counter(found), law, len(found))


def test_one_of_thousands_with_almost_all_the_weight() -> None:
    weights = [1] * 5000
    weights[1234] = 2**32 - 1
    found = answers(weighted(weights, 4), 100_000, 4)
    assert all(1234 in drawn and len(set(drawn)) == 4 for drawn in found)
    others = Counter(at // 250 for drawn in found for at in drawn if at != 1234)
    law = {n: Fraction(250 - (n == 1234 // 250), 4999) for n in range(20)}
    assert_law(others, law, 3 * len(found))


@pytest.mark.parametrize("count", [5000, 50_000])
def test_a_pool_of_thousands(count: int) -> None:
    chance = random.Random(count)
    weights = [chance.choice([512, 1000, 3000, 25_000, 100_000, 3_000_000]) for _ in range(count)]
    expected = chances(weights, 4)
    found = answers(weighted(weights, 4), MANY // 4, 4)
    assert all(len(set(drawn)) == 4 for drawn in found)
    # Both by weight and, in slices, by place.
    times, drawn = len(found), Counter(at for each in found for at in each)
    for key in (weights, [at * 50 // count for at in range(count)]):
        seen: Counter[int] = Counter()
        means: Counter[int] = Counter()
        for at, share in enumerate(expected):
            seen[key[at]] += drawn[at]
            means[key[at]] += share * times
        assert max(abs(seen[each] - mean) / sqrt(mean + 1) for each, mean in means.items()) < 5
    # The first of each answer has the law of one draw.
    total = sum(weights)
    law = {at: weight / total for at, weight in enumerate(weights)}
    assert_law(Counter(first for first, *_ in found), law, times)


def test_weights_whose_product_is_beyond_64_bits() -> None:
    weights = [2**32 - 1 - n % 2 * 2**31 for n in range(70_000)]
    found = answers(weighted(weights, 2), 200_000, 2)
    total = sum(weights)
    law = {
        (n, odd): Fraction(sum(weights[n * 700 + odd : n * 700 + 700 : 2]), total)
        for n in range(100)
        for odd in (0, 1)
    }
    assert_law(Counter((at // 700, at % 2) for at, _ in found), law, len(found))


def test_records_without_weight_come_when_the_others_are_used_up() -> None:
    weights = [0, 3, 0, 1, 0]
    assert {frozenset(each) for each in answers(weighted(weights, 2), 1000, 2)} == {
        frozenset({1, 3})
    }
    found = answers(weighted(weights, 3), 60_000, 3)
    assert all({1, 3} == set(each[:2]) for each in found)
    law = {at: Fraction(1, 3) for at in (0, 2, 4)}
    assert_law(Counter(each[2] for each in found), law, len(found))
    assert {frozenset(each) for each in answers(weighted(weights, 9), 100, 5)} == {
        frozenset(range(5))
    }


@pytest.mark.parametrize("rdtype", [A, CNAME])
def test_addresses_that_all_have_weight_0_are_all_as_likely(rdtype: int) -> None:
    names = {A: [address(n) for n in range(4)], CNAME: [b"\1%d\0" % n for n in range(4)]}[rdtype]
    of = selection(Draw(names, [0] * 4, hosts=1, rdtype=rdtype))
    generator = Generator(1)
    found = Counter(of.draw(0, generator)[0][HEAD:] for _ in range(40_000))
    assert_law(found, {name: Fraction(1, 4) for name in names}, 40_000)


def test_others_that_all_have_weight_0_are_all_answered_in_their_order() -> None:
    data = [b"\0\12\1%c\0" % letter for letter in b"dacb"]
    of = selection(Draw(data, [0] * 4, hosts=1, rdtype=MX))
    records, count = of.draw(0, Generator(1))
    assert count == 4
    assert [records[at + HEAD : at + HEAD + 5] for at in range(0, len(records), HEAD + 5)] == data


def test_without_a_draw_all_are_answered_in_their_order() -> None:
    data = [bytes([n]) + b"x" * n for n in (9, 3, 200, 0)]
    records, count = selection(Draw(data, hosts=ALL, rdtype=TXT, any_size=True)).draw(
        0, Generator(1)
    )
    assert count == 4
    assert records.split(b"\xc0\x0c")[1:] == [
        b"\0\x10\0\1\0\0\0<" + len(text).to_bytes(2, "big") + text for text in data
    ]


@pytest.mark.parametrize("size", [4, 16])
def test_records_are_as_the_zone_has_them(size: int) -> None:
    data = [bytes(range(n, n + size)) for n in range(9)]
    of = selection(Draw(data, hosts=3, rdtype=AAAA if size == 16 else A, ttl=70_000))
    records, count = of.draw(0, Generator(3), owner=0x123)
    assert count == 3
    head = b"\xc1\x23" + bytes([0, 28 if size == 16 else 1, 0, 1, 0, 1, 0x11, 0x70, 0, size])
    each = [records[at : at + HEAD + size] for at in range(0, len(records), HEAD + size)]
    assert [record[:HEAD] for record in each] == [head] * 3
    assert len({record[HEAD:] for record in each} & set(data)) == 3


def test_records_of_different_sizes_are_drawn_by_weight() -> None:
    data = [bytes([n]) + b"x" * n for n in range(5)]
    of = selection(Draw(data, [5, 4, 3, 2, 1], hosts=1, rdtype=TXT, any_size=True))
    generator = Generator(1)
    found = Counter(of.draw(0, generator)[0][HEAD:] for _ in range(60_000))
    assert_law(found, {text: Fraction(5 - n, 15) for n, text in enumerate(data)}, 60_000)


def test_what_does_not_fit_is_left_out_as_a_whole() -> None:
    of = weighted([1] * 100, 8)
    generator = Generator(1)
    assert of.draw(0, generator, room=8 * 16 - 1) == (b"", 0)
    assert of.draw(0, generator, room=8 * 16)[1] == 8
    texts = selection(Draw([b"\1x", b"\xc8" + b"y" * 200], hosts=2, rdtype=TXT, any_size=True))
    assert texts.draw(0, generator, room=14 + 212) == (b"", 0)
    assert texts.draw(0, generator, room=14 + 213)[1] == 2


@pytest.mark.parametrize("hosts", [17, 100, 254, 255])
def test_as_many_as_a_message_holds(hosts: int) -> None:
    of = weighted([1 + n % 7 * 1000 for n in range(1000)], hosts)
    records, count = of.draw(0, Generator(hosts))
    assert count == min(hosts, 1000)
    drawn = {records[at + HEAD : at + 16] for at in range(0, len(records), 16)}
    assert len(drawn) == count
    assert drawn <= {address(n) for n in range(1000)}
    assert weighted([1] * 5000, hosts).draw(0, Generator(1))[1] == hosts


def test_many_of_few_have_the_law_of_chances() -> None:
    """Where almost all are drawn, with some that have most of the weight."""
    weights = [1_000_000, 100_000, 10_000] + [1 + n % 5 for n in range(37)]
    found = answers(weighted(weights, 20), 20_000, 20)
    drawn = Counter(at for each in found for at in each)
    for at, share in enumerate(chances(weights, 20)):
        mean = share * len(found)
        assert abs(drawn[at] - mean) <= 5 * sqrt(mean * (1 - min(share, 1)) + 1) + 1e-4 * mean


def test_the_same_seed_gives_the_same_bytes() -> None:
    of = weighted([1 + n for n in range(50)], 4)
    one, again, other = (of.draws(0, Generator(seed), 1000) for seed in (7, 7, 8))
    assert one == again
    assert one != other
    pairs = pairwise(of.draw(0, Generator(seed))[0] for seed in range(50))
    assert sum(first != second for first, second in pairs) > 45
