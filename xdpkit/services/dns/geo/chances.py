"""How likely each record is to be in an answer that is drawn by weight, without replacement.

Successive draws have the law of clocks that ring at random, each with its weight as its rate, of
which the first few win (exponential order statistics): so a record's chance is an integral over the
time at which it rings, of how likely it is that fewer than so many others have rung by then.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

# Times are spaced evenly by their logarithm, from where hardly any record has rung to where hardly
# any has not. The sum converges fast: with these, a chance is right to a millionth.
_STEP = 0.125
_EARLY, _LATE = 1e-8, 40.0

# Above this the integral takes long, and the answer is known well enough without it.
_FEW = 32

# With more weights than these, those within 5 % of each other are taken together.
_GROUPS, _SIMILAR = 200, 0.05

Polynomial = list[float]
"""How likely it is that 0, 1, 2, ... have rung."""


def chances(weights: Sequence[int], hosts: int) -> list[float]:
    """The chance of each record of these weights to be among ``hosts`` that are drawn.

    Records of weight 0 are drawn last, each as likely as the others.
    """
    positive = Counter(weight for weight in weights if weight)
    some = positive.total()
    if hosts >= some:
        left = len(weights) - some
        last = min(1.0, (hosts - some) / left) if left else 0.0
        return [1.0 if weight else last for weight in weights]
    groups: list[tuple[float, int]] = sorted(positive.items())
    if hosts > _FEW:
        found = _of_many(groups, hosts)
    elif len(groups) <= _GROUPS:
        found = _of_few(groups, hosts)
    else:
        found = _of_similar(groups, hosts)
    return [found.get(weight, 0.0) for weight in weights]


def _of_similar(groups: Sequence[tuple[float, int]], hosts: int) -> dict[float, float]:
    """With weights that hardly differ taken together, and their chances in proportion."""
    bands: dict[int, list[tuple[float, int]]] = {}
    for weight, count in groups:
        bands.setdefault(int(math.log(weight) / _SIMILAR), []).append((weight, count))
    means = {
        band: sum(weight * count for weight, count in members) / sum(c for _, c in members)
        for band, members in bands.items()
    }
    counts = {band: sum(count for _, count in members) for band, members in bands.items()}
    by_mean = _of_few([(means[band], counts[band]) for band in bands], hosts)
    return {
        weight: min(1.0, by_mean[means[band]] * weight / means[band])
        for band, members in bands.items()
        for weight, _ in members
    }


def _of_few(groups: Sequence[tuple[float, int]], hosts: int) -> dict[float, float]:
    total = sum(weight * count for weight, count in groups)
    if hosts == 1:
        return {weight: weight / total for weight, _ in groups}
    found = dict.fromkeys((weight for weight, _ in groups), 0.0)
    time, end = _EARLY / total, _LATE / groups[0][0]
    while time < end:
        # All groups before each, and all behind it.
        before = [[1.0]]
        for weight, count in groups[:-1]:
            before.append(_product(before[-1], _rung(weight * time, count, hosts), hosts))
        behind = [1.0]
        for (weight, count), others in zip(reversed(groups), reversed(before), strict=True):
            alone = _rung(weight * time, count - 1, hosts)
            fewer = sum(_product(_product(others, alone, hosts), behind, hosts))
            found[weight] += fewer * weight * time * math.exp(-weight * time) * _STEP
            behind = _product(behind, _rung(weight * time, count, hosts), hosts)
        time *= math.exp(_STEP)
    # They add up to what is drawn, but for the error of the sum.
    drawn = sum(found[weight] * count for weight, count in groups)
    return {weight: min(1.0, chance * hosts / drawn) for weight, chance in found.items()}


def _rung(rate: float, count: int, hosts: int) -> Polynomial:
    """Of so many equal ones by a time, a rate being weight times time: fewer than ``hosts``."""
    rung, numbers = -math.expm1(-rate), range(min(count, hosts - 1) + 1)
    return [math.comb(count, n) * rung**n * math.exp(-rate * (count - n)) for n in numbers]


def _of_many(groups: Sequence[tuple[float, int]], hosts: int) -> dict[float, float]:
    """As if all rang that do by the time at which so many have: close, where they are many."""
    low, high = 0.0, _LATE / groups[0][0]
    for _ in range(200):
        time = (low + high) / 2
        rung = sum(-math.expm1(-weight * time) * count for weight, count in groups)
        low, high = (time, high) if rung < hosts else (low, time)
    return {weight: -math.expm1(-weight * low) for weight, _ in groups}


def _product(one: Polynomial, other: Polynomial, hosts: int) -> Polynomial:
    made = [0.0] * min(len(one) + len(other) - 1, hosts)
    for i, a in enumerate(one):
        for j, b in enumerate(other[: hosts - i]):
            made[i + j] += a * b
    return made
