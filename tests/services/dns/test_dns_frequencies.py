"""Frequencies of records: what is chance is not taken for a difference, and what is not, is."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from xdpkit.services.dns.geo.chances import chances
from xdpkit.services.dns.query.frequencies import BEYOND_CHANCE, chi_square_tail, deviation


def drawn(rng: random.Random, weights: Sequence[int], hosts: int, answers: int) -> Counter[str]:
    """By clocks: the first few that ring."""
    seen: Counter[str] = Counter()
    for _ in range(answers):
        rung = sorted((rng.expovariate(weight), i) for i, weight in enumerate(weights))
        seen.update(str(i) for _, i in rung[:hosts])
    return seen


def of(weights: Sequence[int], hosts: int) -> dict[str, float]:
    return {str(i): chance for i, chance in enumerate(chances(weights, hosts))}


# Quantiles of NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4.
@pytest.mark.parametrize(
    "statistic, freedom, probability",
    [
        (3.841, 1, 0.05),
        (10.828, 1, 0.001),
        (5.991, 2, 0.05),
        (16.266, 3, 0.001),
        (18.307, 10, 0.05),
        (37.697, 15, 0.001),
        (124.342, 100, 0.05),
    ],
)
def test_the_tail_of_chi_square(statistic: float, freedom: int, probability: float) -> None:
    assert chi_square_tail(statistic, freedom) == pytest.approx(probability, rel=2e-3)
    assert chi_square_tail(0, freedom) == 1


def test_a_tail_far_out() -> None:
    assert chi_square_tail(200, 2) == pytest.approx(math.exp(-100))
    assert chi_square_tail(1e6, 5000) == 0


@pytest.mark.parametrize(
    "weights, hosts",
    [
        ([1, 1], 1),
        ([1, 100, 10000], 1),
        ([1, 10, 100, 1000], 2),
        ([5] * 30, 4),
        (list(range(1, 60)), 4),
        ([512, 1000, 3000000, 3000000, 10000, 25000], 4),
    ],
)
def test_chance_is_no_difference(weights: list[int], hosts: int) -> None:
    """At most about as often as the probability says."""
    rng = random.Random(3)
    chance = of(weights, hosts)
    found = [deviation(drawn(rng, weights, hosts, 100), chance, 100) for _ in range(300)]
    probabilities = [each.probability for each in found if each]
    assert sum(each < 0.05 for each in probabilities) <= 30
    assert sum(each < 0.001 for each in probabilities) <= 3
    assert all(each >= BEYOND_CHANCE for each in probabilities)


@pytest.mark.parametrize("hosts", [1, 2])
def test_another_weight_is_a_difference(hosts: int) -> None:
    rng = random.Random(4)
    seen = drawn(rng, [1, 10, 10, 100], hosts, 200)
    found = deviation(seen, of([100, 10, 10, 100], hosts), 200)
    assert found is not None and found.probability < BEYOND_CHANCE


def test_nothing_to_say() -> None:
    assert deviation(Counter(a=3), {"a": 1.0}, 3) is None
    assert deviation(Counter(), {"a": 0.5, "b": 0.5}, 3) is None
    assert deviation(Counter(), {}, 0) is None
