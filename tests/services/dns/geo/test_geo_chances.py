"""The chance of each record to be drawn, against every order of draws, and against draws."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.bench.pool_zone import NETSPEEDS
from xdpkit.services.dns.geo.chances import chances


def by_every_order(weights: Sequence[int], hosts: int) -> list[float]:
    """By all successions of draws."""
    found = [0.0] * len(weights)

    def draw(drawn: tuple[int, ...], chance: float) -> None:
        left = [i for i in range(len(weights)) if i not in drawn]
        if len(drawn) == hosts or not left:
            for i in drawn:
                found[i] += chance
            return
        total = sum(weights[i] for i in left)
        for i in left:
            share = weights[i] / total if total else 1 / len(left)
            if share:
                draw((*drawn, i), chance * share)

    draw((), 1.0)
    return found


@settings(max_examples=150, deadline=None)
@given(
    weights=st.lists(st.sampled_from([0, 1, 1, 2, 10, 512, 3_000_000, 4294967295]), max_size=6),
    hosts=st.integers(1, 5),
)
def test_every_order_of_draws(weights: list[int], hosts: int) -> None:
    found = chances(weights, hosts)
    assert found == pytest.approx(by_every_order(weights, hosts), abs=1e-5)


@pytest.mark.parametrize("hosts", [1, 2, 4, 8])
def test_equal_weights_are_equally_likely(hosts: int) -> None:
    assert chances([7] * 5000, hosts) == pytest.approx([hosts / 5000] * 5000)


def test_a_pool_of_thousands_against_draws() -> None:
    rng = random.Random(1)
    weights = rng.choices(list(NETSPEEDS), list(NETSPEEDS.values()), k=5000)
    found = chances(weights, 4)
    assert sum(found) == pytest.approx(4)
    # The share of the two largest groups of weights in many draws of four, by clocks.
    for weight in (1_000_000, 3_000_000):
        expected = sum(c for c, w in zip(found, weights, strict=True) if w == weight) / 4
        met = 0
        for _ in range(500):
            clocks = [(rng.expovariate(each), each) for each in weights]
            met += sum(each == weight for _, each in sorted(clocks)[:4])
        assert met / 2000 == pytest.approx(expected, abs=0.06)


def test_one_with_almost_all_the_weight() -> None:
    found = chances([3_000_000, *[1] * 100], 4)
    assert found[0] == pytest.approx(1, abs=1e-3)
    assert found[1:] == pytest.approx([0.03] * 100, rel=1e-3)


@pytest.mark.parametrize("hosts", [33, 500, 4999, 5000, 6000])
def test_many_at_once(hosts: int) -> None:
    rng = random.Random(1)
    weights = [0, *rng.choices(list(NETSPEEDS), k=5000)]
    found = chances(weights, hosts)
    assert sum(found) == pytest.approx(min(hosts, 5001), rel=1e-6)
    assert all(0 <= each <= 1 for each in found)


def test_the_two_ways_agree_where_they_meet() -> None:
    weights = [1, 2, 5, 100] * 100
    for one, other in zip(chances(weights, 32), chances(weights, 33), strict=True):
        assert one * 33 / 32 == pytest.approx(other, rel=0.03)


def test_thousands_of_different_weights() -> None:
    weights = [1000 + number for number in range(3000)]
    found = chances(weights, 4)
    assert sum(found) == pytest.approx(4, rel=1e-3)
    assert found[2000] / found[0] == pytest.approx(3, rel=0.01), "as likely as it is heavy"
