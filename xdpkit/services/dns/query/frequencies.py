"""Whether records are answered as often as their chances say, or otherwise beyond chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

# What happens by chance once in a million comparisons is taken for a difference.
BEYOND_CHANCE = 1e-6

# Pearson's rule of thumb: rarer records are counted together.
_EXPECTED_MIN = 5.0


class Deviation(NamedTuple):
    """A chi-square test's."""

    statistic: float
    freedom: int
    probability: float
    """Of at least as much by chance."""


def deviation(
    seen: Mapping[str, int], chances: Mapping[str, float], answers: int, spread: int = 1
) -> Deviation | None:
    """How far off the numbers of answers are that had each record; None if nothing can be said.

    Records that are in every answer tell nothing. A draw without replacement is less uneven than
    independent draws are, for which the test is made: so it errs on the side of chance. ``spread``
    is for answers whose records come together, as those of one label do: the most of one.
    """
    expected = sorted(
        (chance * answers, seen.get(record, 0))
        for record, chance in chances.items()
        if 0 < chance < 1
    )
    cells: list[tuple[float, int]] = []
    mean, count = 0.0, 0
    for each, found in expected:
        mean, count = mean + each, count + found
        if mean >= _EXPECTED_MIN:
            cells.append((mean, count))
            mean, count = 0.0, 0
    if cells and mean:
        cells[-1] = (cells[-1][0] + mean, cells[-1][1] + count)
    if len(cells) < 2:
        return None
    pearson = sum((count - mean) ** 2 / mean for mean, count in cells)
    # The likelihood ratio is better for cells that few are expected in: the less certain counts.
    ratio = 2 * sum(count * math.log(count / mean) for mean, count in cells if count)
    ratio += 2 * sum(mean - count for mean, count in cells)
    statistic, freedom = min(pearson, ratio) / spread, len(cells) - 1
    return Deviation(statistic, freedom, chi_square_tail(statistic, freedom))


def chi_square_tail(statistic: float, freedom: int) -> float:
    """The probability that chi-square with so many degrees of freedom is at least this."""
    half = statistic / 2
    if half <= 0:
        return 1.0
    odd = freedom % 2
    tail = math.erfc(math.sqrt(half)) if odd else 0.0
    # Abramowitz and Stegun 26.4.4 and 26.4.5.
    for i in range(freedom // 2):
        power = i + odd / 2
        tail += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(1.0, tail)
