"""What a selection leaves of a zone's variants: health, the order of steps, weights of options."""

from __future__ import annotations

import random
import struct
from collections import Counter
from fractions import Fraction
from math import sqrt

import pytest
from geo_arena import MX, Draw, GeoArena, Images, Option, Step, Variants, apex_images
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._geo_selection import Generator, Selection, status_names

HEALTHY = 2

Outcome = tuple[str, int]
"""An image, by its offset; records, by the number of their draw; or nothing."""


def addresses(count: int, first: int = 0) -> list[bytes]:
    return [(first + n).to_bytes(4, "big") for n in range(count)]


def numbers(records: bytes) -> list[int]:
    """Of A records."""
    return [number for (number,) in struct.iter_unpack(">12xI", records)]


def seen(of: Selection, variant: int, times: int = 300) -> set[int]:
    """Which records are in any of so many answers."""
    generator = Generator(5)
    return {n for _ in range(times) for n in numbers(of.draw(variant, generator)[0])}


def test_only_what_is_healthy_is_answered() -> None:
    draw = Draw(addresses(5), [9, 9, 9, 9, 9], [0, 1, 2, 3, 1], hosts=2)
    arena = GeoArena([[draw]], ["a/b", "a/c", "d/e"]).arena()
    assert status_names(arena) == ("a/b", "a/c", "d/e")
    assert seen(Selection(arena, bytes([2, 2, 2])), 0) == {0, 1, 2, 3, 4}
    assert seen(Selection(arena, bytes([1, 2, 2])), 0) == {0, 2, 3}
    # As in GeoDNS, what is not known to be healthy is not.
    assert seen(Selection(arena, bytes([2, 0, 2])), 0) == {0, 1, 3, 4}
    assert seen(Selection(arena, bytes([1, 1, 1])), 0) == {0}


def test_what_has_no_weight_is_answered_when_what_has_is_unhealthy() -> None:
    draw = Draw(addresses(4), [9, 0, 0, 5], [1, 0, 0, 2], hosts=1)
    arena = GeoArena([[draw]], ["f/a", "f/b"]).arena()
    assert seen(Selection(arena, bytes([2, 2])), 0) == {0, 3}
    assert seen(Selection(arena, bytes([2, 1])), 0) == {0}
    assert seen(Selection(arena, bytes([1, 1])), 0) == {1, 2}
    exchanges = Draw([b"\0\1\0", b"\0\2\0", b"\0\3\0"], [9, 0, 0], [1, 0, 0], hosts=1, rdtype=MX)
    arena = GeoArena([[exchanges]], ["f/a"]).arena()
    assert Selection(arena, bytes([2])).draw(0, Generator(1))[1] == 1
    # None of those that are left has a weight: all of them.
    assert Selection(arena, bytes([1])).draw(0, Generator(1))[1] == 2


def test_the_first_step_that_has_something_healthy_is_the_answer() -> None:
    near = Draw(addresses(2), None, [1, 2])
    far = Draw(addresses(2, 100), None, [3, 3])
    arena = GeoArena([[near, far]], ["f/a", "f/b", "f/c"]).arena()
    assert seen(Selection(arena, bytes([2, 2, 2])), 0) == {0, 1}
    assert seen(Selection(arena, bytes([1, 2, 2])), 0) == {1}
    assert seen(Selection(arena, bytes([1, 1, 2])), 0) == {100, 101}
    # Nothing is healthy: health is ignored, or there is no answer.
    assert seen(Selection(arena, bytes([1, 1, 1])), 0) == {0, 1}
    assert Selection(arena, bytes([1, 1, 1]), False).pick(0, Generator(1)) == (None, None)
    assert seen(Selection(arena, bytes([1, 1, 2]), False), 0) == {100, 101}


def test_one_image_is_drawn_by_weight() -> None:
    images = apex_images()
    options = [
        Option(at, weight, status)
        for at, weight, status in zip(images, (3, 1, 0), (0, 1, 0), strict=True)
    ]
    arena = GeoArena([[Images(options)]], ["f/a"]).arena()
    generator = Generator(1)
    both, one = Selection(arena, b"\2"), Selection(arena, b"\1")
    found = Counter(both.pick(0, generator) for _ in range(40_000))
    assert found.keys() == {(images[0], None), (images[1], None)}
    assert abs(found[images[1], None] - 10_000) < 5 * sqrt(7500)
    assert {one.pick(0, generator) for _ in range(100)} == {(images[0], None)}


def test_aliases_lead_to_others_by_weight() -> None:
    leaves: list[list[Step]] = [[Draw(addresses(1, n))] for n in range(3)]
    inner: list[Step] = [Variants([Option(0, 1), Option(1, 2)])]
    outer: list[Step] = [Variants([Option(3, 3), Option(2, 1)])]
    of = Selection(GeoArena([*leaves, inner, outer]).arena(), b"")
    generator = Generator(1)
    times = 60_000
    found = Counter(numbers(of.draw(4, generator)[0])[0] for _ in range(times))
    for number, share in ((0, 0.25), (1, 0.5), (2, 0.25)):
        assert abs(found[number] - share * times) < 5 * sqrt(times * share * (1 - share))


def test_an_alias_to_nothing_healthy_is_none() -> None:
    dead: list[Step] = [Draw(addresses(1), None, [1])]
    alive: list[Step] = [Draw(addresses(1, 1))]
    last: list[Step] = [Draw(addresses(1, 2), None, [1])]
    both: list[Step] = [Variants([Option(0, 9), Option(1, 0)])]
    only: list[Step] = [Variants([Option(0, 9)]), *last]
    arena = GeoArena([dead, alive, both, only], ["f/a"]).arena()
    assert seen(Selection(arena, b"\2"), 2) == {0}
    # What is left has no weight, and is all that there is.
    assert seen(Selection(arena, b"\1"), 2) == {1}
    assert seen(Selection(arena, b"\1"), 3) == {0}
    assert Selection(arena, b"\1", False).pick(3, Generator(1)) == (None, None)


def nested(depth: int) -> GeoArena:
    leaf: list[Step] = [Draw(addresses(1))]
    steps = [leaf]
    for n in range(depth):
        steps.append([Variants([Option(n, 1), Option(0, 1)])])
    return GeoArena(steps)


def test_aliases_are_nested_so_deep_and_no_deeper() -> None:
    assert seen(Selection(nested(32).arena(), b""), 32) == {0}
    with pytest.raises(ValueError, match="nested more than 32 deep"):
        Selection(nested(33).arena(), b"")


def test_states_are_those_of_the_zone() -> None:
    arena = GeoArena([[Draw(addresses(1), None, [1])]], ["f/a"]).arena()
    with pytest.raises(ValueError, match="2 states of 1 statuses"):
        Selection(arena, b"\2\2")
    with pytest.raises(IndexError):
        Selection(arena, b"\2").pick(1, Generator(1))


def test_it_stays_when_its_arena_is_let_go() -> None:
    of = Selection(GeoArena([[Draw(addresses(9))]]).arena(), b"")
    assert [bytes(2000) for _ in range(100)]
    assert seen(of, 0) == set(range(9))


# A model of resolve.py's rules over the same variants.


def alive(status: int, states: bytes, ignore: bool) -> bool:
    return ignore or not status or states[status - 1] == HEALTHY


class Model:
    """What each variant yields, with its probability."""

    def __init__(self, arena: GeoArena, states: bytes, answer_all: bool) -> None:
        self.arena, self.states, self.answer_all = arena, states, answer_all

    def answer(self, variant: int) -> dict[Outcome, Fraction]:
        found = self.variant(variant, False)
        return found or (self.variant(variant, True) if self.answer_all else {})

    def variant(self, variant: int, ignore: bool) -> dict[Outcome, Fraction]:
        for step in self.arena.variants[variant]:
            if found := self.step(step, ignore):
                return found
        return {}

    def step(self, step: Step, ignore: bool) -> dict[Outcome, Fraction]:
        if isinstance(step, Draw):
            left = any(alive(status, self.states, ignore) for status in step.statuses or [0])
            return {("draw", id(step)): Fraction(1)} if left else {}
        left_options = []
        for option in step.options:
            found: dict[Outcome, Fraction] = {("image", option.to): Fraction(1)}
            if isinstance(step, Variants):
                found = self.variant(option.to, ignore)
            elif not alive(option.status, self.states, ignore):
                found = {}
            if found:
                left_options.append((option.weight, found))
        weights = [weight for weight, _ in left_options]
        if not any(weights):
            weights = [1] * len(weights)
        outcomes: dict[Outcome, Fraction] = {}
        for weight, (_, found) in zip(weights, left_options, strict=True):
            for outcome, share in found.items():
                part = Fraction(weight, sum(weights)) * share
                if part:
                    outcomes[outcome] = outcomes.get(outcome, Fraction(0)) + part
        return outcomes


@st.composite
def arenas(draw: st.DrawFn) -> GeoArena:
    chance = draw(st.randoms(use_true_random=True))
    images = apex_images()
    draws = [
        Draw(
            addresses(count, 100 * n),
            [chance.choice((0, 1, 5)) for _ in range(count)],
            [chance.randrange(4) for _ in range(count)] if chance.random() < 0.8 else None,
            hosts=chance.randrange(1, 5),
        )
        for n in range(6)
        for count in [chance.randrange(1, 5)]
    ]
    variants: list[list[Step]] = []
    for index in range(chance.randrange(1, 12)):
        steps: list[Step] = []
        for _ in range(chance.randrange(4)):
            kind = chance.randrange(3 if index else 2)
            options = [
                Option(
                    chance.randrange(index) if kind == 2 else chance.choice(images),
                    chance.choice((0, 0, 1, 3)),
                    0 if kind == 2 else chance.randrange(4),
                )
                for _ in range(chance.randrange(1, 4))
            ]
            steps.append((chance.choice(draws), Images(options), Variants(options))[kind])
        variants.append(steps)
    return GeoArena(variants, ["f/a", "f/b", "f/c"])


@given(arenas(), st.lists(st.integers(0, 2), min_size=3, max_size=3), st.booleans())
def test_any_variants_yield_what_resolve_does(
    arena: GeoArena, listed: list[int], answer_all: bool
) -> None:
    states = bytes(listed)
    model = Model(arena, states, answer_all)
    of = Selection(arena.arena(), states, answer_all)
    draws = {id(s): s for steps in arena.variants for s in steps if isinstance(s, Draw)}
    order = list(draws)
    generator = Generator(random.randrange(2**64))
    for variant in range(len(arena.variants)):
        law = model.answer(variant)
        found: Counter[Outcome] = Counter()
        for _ in range(150):
            image, table = of.pick(variant, generator)
            if image is not None:
                found["image", image] += 1
            elif table is not None:
                found["draw", order[table]] += 1
        assert found.keys() <= law.keys()
        assert {outcome for outcome, share in law.items() if share > Fraction(1, 5)} <= found.keys()
        if len(law) == 1 and next(iter(law))[0] == "draw":
            assert_records(of, variant, draws[next(iter(law))[1]], states)


def assert_records(of: Selection, variant: int, draw: Draw, states: bytes) -> None:
    """Those that are healthy, or all; with weight before those without."""
    every = range(len(draw.rdata))
    statuses = draw.statuses or [0] * len(draw.rdata)
    left = [n for n in every if alive(statuses[n], states, False)] or list(every)
    generator = Generator(1)
    rdata = {int.from_bytes(data, "big"): n for n, data in enumerate(draw.rdata)}
    assert draw.weights is not None
    heavy = {n for n in left if draw.weights[n]}
    for _ in range(10):
        drawn = [rdata[number] for number in numbers(of.draw(variant, generator)[0])]
        assert len(drawn) == len(set(drawn)) == min(draw.hosts, len(left))
        assert set(drawn) <= set(left)
        assert not heavy or set(drawn) >= heavy or set(drawn) <= heavy


def test_a_hundred_thousand_records_are_built_and_drawn_from() -> None:
    chance = random.Random(1)
    weights = [chance.randrange(512, 3_000_000) for _ in range(100_000)]
    arena = GeoArena([[Draw(addresses(100_000), weights, [1] * 100_000, hosts=4)]], ["f/a"]).arena()
    assert len(seen(Selection(arena, b"\2"), 0)) > 1000
