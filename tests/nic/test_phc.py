"""The line between PHC and TAI: clocks that drift, jitter, step or are disturbed."""

from __future__ import annotations

import errno
import os
import random
from dataclasses import dataclass, field, replace

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit.nic.os import phc
from xdpkit.nic.os.phc import PhcWatch
from xdpkit.nic.os.phc_fit import (
    BEND_NS,
    LEAST,
    MOST,
    RATE_MAX,
    STRAY_LIMIT,
    PhcFit,
    PhcMap,
    Reading,
    fit_line,
)

SECOND = 10**9
TAI = 1_800_000_000 * SECOND


@dataclass
class Clocks:
    """A PHC next to TAI: it reads ``phc_ns`` at TAI and gains ``ppm``.

    A reading's true moment is anywhere between the two reads around it, ``delay_ns`` apart.
    """

    ppm: float
    phc_ns: int
    delay_ns: int
    chance: random.Random
    now: float = 0.0

    def phc(self, now: float) -> int:
        return self.phc_ns + round(now * SECOND) + round(now * 1000 * self.ppm)

    def read(self, seconds: float, delay_ns: int | None = None) -> Reading:
        """Reads the clocks after this many more seconds."""
        self.now += seconds
        delay = self.delay_ns if delay_ns is None else delay_ns
        middle = self.chance.randint(-(delay // 2), delay // 2)
        return Reading(self.phc(self.now), TAI + round(self.now * SECOND) + middle, delay)

    def error(self, found: PhcMap, after: float = 0.0) -> int:
        """The error of the map that long after the last reading."""
        now = self.now + after
        return abs(found.tai(self.phc(now)) - (TAI + round(now * SECOND)))


@st.composite
def clocks(draw: st.DrawFn, ppm: float = 500.0) -> Clocks:
    return Clocks(
        ppm=draw(st.floats(-ppm, ppm)),
        phc_ns=draw(st.integers(1, 2**62)),
        delay_ns=draw(st.integers(0, 5000)),
        chance=draw(st.randoms(use_true_random=False)),
    )


@given(clocks(), st.integers(LEAST, 40))
def test_a_steady_drift_is_followed(given_: Clocks, count: int) -> None:
    fit = PhcFit()
    found = [fit.add(given_.read(1.0)) for _ in range(count)]
    assert found[: LEAST - 1] == [None] * (LEAST - 1)
    last = found[-1]
    assert last is not None
    # The median of single readings' errors, and the slope's over a second, are within their own.
    assert given_.error(last) <= given_.delay_ns + 2
    assert given_.error(last, after=1.0) <= 2 * given_.delay_ns + 2


@given(clocks(), st.data())
def test_disturbed_readings_hardly_move_it(given_: Clocks, data: st.DataObject) -> None:
    """A quarter of the readings take up to a millisecond and are wrong by up to half of it."""
    fit, found = PhcFit(), None
    slow = data.draw(st.lists(st.booleans(), min_size=24, max_size=24))
    for index, wanted in enumerate(slow):
        bad = wanted and index % 4 == 3
        found = fit.add(given_.read(1.0, 1_000_000 if bad else None)) or found
    assert found is not None
    assert given_.error(found) <= 2 * given_.delay_ns + BEND_NS


@given(clocks(), st.integers(BEND_NS + 3000, 10**12), st.booleans(), st.integers(LEAST, 20))
def test_one_wrong_reading_is_left_out(given_: Clocks, off: int, ahead: bool, count: int) -> None:
    fit = PhcFit()
    for _ in range(count):
        fit.add(given_.read(1.0))
    good = given_.read(1.0)
    off += 2 * good.delay_ns
    assert fit.add(replace(good, tai_ns=good.tai_ns + (off if ahead else -off))) is None
    found = fit.add(given_.read(1.0))
    assert found is not None
    assert given_.error(found) <= given_.delay_ns + 2


@given(clocks(), st.integers(50_000, 10**11), st.booleans())
def test_a_clock_that_was_set_gives_no_wrong_time(given_: Clocks, step: int, ahead: bool) -> None:
    """No map in between: what was right before the step is not published after it."""
    fit = PhcFit()
    for _ in range(12):
        fit.add(given_.read(1.0))
    given_.phc_ns += step if ahead else -step
    maps = [fit.add(given_.read(1.0)) for _ in range(STRAY_LIMIT + LEAST)]
    for index, found in enumerate(maps):
        if index < STRAY_LIMIT + LEAST - 2:
            assert found is None
    last = maps[-1]
    assert last is not None
    assert given_.error(last) <= given_.delay_ns + 2


@given(clocks(), st.floats(-0.9, 0.9))
def test_a_bend_within_a_ppm_is_followed(given_: Clocks, change: float) -> None:
    fit = PhcFit()
    for _ in range(MOST):
        fit.add(given_.read(1.0))
    # The clock continues from where it is, at another rate.
    given_.phc_ns -= round(given_.now * 1000 * change)
    given_.ppm += change
    for _ in range(2 * MOST):
        found = fit.add(given_.read(1.0))
        assert found is None or given_.error(found) <= BEND_NS + 2 * given_.delay_ns
    assert found is not None
    assert given_.error(found) <= given_.delay_ns + 2


@given(st.lists(st.builds(Reading, *[st.integers(0, 2**63 - 1)] * 2, st.integers(0, 2**40))))
def test_any_readings_end_in_a_map_or_none(readings: list[Reading]) -> None:
    fit = PhcFit()
    for reading in readings:
        found = fit.add(reading)
        assert found is None or abs(found.rate) <= RATE_MAX


@pytest.mark.parametrize("ppm, fits", [(62_000.0, True), (-58_000.0, True), (90_000.0, False)])
def test_how_steep_a_line_may_be(ppm: float, fits: bool) -> None:
    steep = Clocks(ppm, 10**18, 0, random.Random(1))
    assert (fit_line([steep.read(1.0) for _ in range(MOST)]) is not None) is fits


def test_a_stopped_clock_has_no_line() -> None:
    fit = PhcFit()
    for second in range(60):
        assert fit.add(Reading(1000, TAI + second * SECOND, 100)) is None


def test_readings_on_no_line_give_none() -> None:
    chance = random.Random(2)
    wild = [
        Reading(n * SECOND, TAI + n * SECOND + chance.randrange(10**8), 100) for n in range(MOST)
    ]
    assert fit_line(wild) is None


@dataclass
class FakeClock:
    """What PhcWatch reads; ``errno`` makes it fail."""

    clocks: Clocks
    path: str = "/dev/ptp3"
    errno: int = 0
    unsure: bool = False

    def read(self) -> Reading | None:
        if self.errno:
            raise OSError(self.errno, os.strerror(self.errno))
        return None if self.unsure else self.clocks.read(1.0)


@dataclass
class Watched:
    """A PhcWatch that runs without waiting, and what it published."""

    clock: FakeClock
    published: list[dict[str, int] | None] = field(default_factory=list)

    def run(self, times: int, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """Runs it for that many readings; returns how long it would have slept after each."""
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == times:
                raise TimeoutError

        with monkeypatch.context() as patch:
            patch.setattr(phc.anyio, "sleep", sleep)
            with pytest.raises(TimeoutError):
                anyio.run(self.watch.run)
        return slept

    def __post_init__(self) -> None:
        self.watch = PhcWatch(self.clock, self.published.append)


@pytest.fixture
def watched() -> Watched:
    return Watched(FakeClock(Clocks(20.0, 10**15, 500, random.Random(3))))


def test_it_reads_quickly_until_there_is_a_map(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = watched.run(12, monkeypatch)
    assert slept == [phc.FIRST_SECONDS] * (LEAST - 1) + [phc.PERIOD_SECONDS] * (13 - LEAST)
    assert len(watched.published) == 13 - LEAST
    last = watched.published[-1]
    assert last is not None
    assert watched.clock.clocks.error(PhcMap(**last)) < 1000


def test_a_failure_is_logged_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    watched.run(10, monkeypatch)
    before = len(watched.published)
    watched.clock.errno = errno.EBUSY
    watched.run(5, monkeypatch)
    assert watched.published[before:] == [None]
    assert [record.getMessage() for record in caplog.records] == [
        "/dev/ptp3 cannot be read: Device or resource busy"
    ]
    watched.clock.errno = 0
    watched.run(10, monkeypatch)
    assert [record.getMessage() for record in caplog.records][1:] == ["/dev/ptp3 can be read again"]
    # Readings from before no longer count.
    assert len(watched.published) == before + 1 + 11 - LEAST


def test_a_reading_during_an_offset_change_is_not_used(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.run(10, monkeypatch)
    before = len(watched.published)
    watched.clock.unsure = True
    watched.run(3, monkeypatch)
    assert watched.published[before:] == [None]
