"""The prediction of transmit times with made-up delays: it converges to their median."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._transmit_fit import Prediction

US, MS, SECOND = 10**3, 10**6, 10**9
# Batches until the initial value no longer has an effect.
LEARNING = 600


def delays(base: int, slope: int, frames: int) -> list[int]:
    return [base + slope * index for index in range(frames)]


def test_nothing_learned_nothing_predicted() -> None:
    """Without TX completions, as on the slow path, the clock read is sent as it is."""
    fit = Prediction()
    for pause in (10 * US, SECOND):
        assert fit.batch(pause, []) == []
    assert fit.batch(10 * US, [700, 1700]) == [700, 1700]
    assert fit.batch(10 * US, [700, 1700]) != [700, 1700]


@given(st.integers(50, 20_000), st.integers(20, 5_000), st.integers(2, 64))
def test_it_converges_to_a_line(base: int, slope: int, frames: int) -> None:
    fit = Prediction()
    for _ in range(LEARNING):
        fit.batch(30 * US, delays(base, slope, frames))
    for _ in range(20):
        errors = fit.batch(30 * US, delays(base, slope, frames))
        # Base and slope keep moving by one step.
        assert abs(errors[0]) <= base / 16
        assert abs(errors[-1]) <= base / 16 + (slope * frames) / 8


def test_a_frame_at_a_time() -> None:
    fit = Prediction()
    found = [fit.batch(MS, [5000])[0] for _ in range(LEARNING)]
    assert all(abs(error) <= 5000 / 16 for error in found[-50:])


def test_each_pause_has_its_base() -> None:
    """The longer the pause, the colder the caches: it need not relearn that each time."""
    bases = {10 * US: 600, 200 * US: 900, 700 * US: 2000, 3 * MS: 4000, 20 * MS: 8000, SECOND: 9000}
    fit = Prediction()
    for _ in range(LEARNING):
        for pause, base in bases.items():
            fit.batch(pause, [base])
    for pause, base in bases.items():
        assert abs(fit.batch(pause, [base])[0]) <= base / 16


@pytest.mark.parametrize("frames", [1, 8, 64])
def test_the_median_error_is_small(frames: int) -> None:
    """One-sided noise, and one batch in twenty delayed by a millisecond midway."""
    chance = random.Random(4)
    fit = Prediction()
    found: list[int] = []
    for number in range(4000):
        true = [delay + int(chance.expovariate(1 / 200)) for delay in delays(700, 1000, frames)]
        if chance.random() < 0.05:
            late = chance.randrange(frames)
            true[late:] = [delay + MS for delay in true[late:]]
        errors = fit.batch(50 * US, true)
        if number >= LEARNING:
            found += errors
    assert abs(median(found)) <= 200
    assert 0.45 < sum(error > 0 for error in found) / len(found) < 0.55


def test_the_slope_follows_the_load_within_a_few_batches() -> None:
    fit = Prediction()
    for _ in range(LEARNING):
        fit.batch(50 * US, delays(700, 500, 64))
    for _ in range(16):
        fit.batch(50 * US, delays(700, 1000, 64))
    errors = fit.batch(50 * US, delays(700, 1000, 64))
    assert abs(errors[-1]) <= 64 * 1000 / 8


@given(st.lists(st.lists(st.integers(-(10**10), 10**10), max_size=64), max_size=50))
def test_any_delays_stay_in_bounds(batches: list[list[int]]) -> None:
    """A prediction is never before the clock read, and grows by one step per batch at most."""
    fit = Prediction()
    for measured in batches:
        errors = fit.batch(10 * US, measured)
        predicted = [delay - error for delay, error in zip(measured, errors, strict=True)]
        assert all(0 <= delay < 1000 * 65 * (1 + 1 / 16) ** 50 for delay in predicted)
        assert predicted == sorted(predicted)
