"""The receive time of a frame: the best of three stamps that can be trusted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpkit._core._offwire import OffWire
from xdpkit._core._snapshot import Snapshot
from xdpkit.instance import report
from xdpkit.nic.os.phc_fit import RATE_MAX, PhcMap
from xdpkit.runtime.publisher import Parts, SnapshotPublisher

SECOND = 10**9
TAI = 1_800_000_000 * SECOND
PHC = 5_000 * SECOND
OFFSET = 37
MAP = PhcMap(phc_ns=PHC, tai_ns=TAI, rate=0)

# cext/runtime/phc.h, PHC_REACH_NS.
REACH = 1 << 33


def arrival(found: PhcMap | None, *stamps: int, **options: Any) -> tuple[int, str]:
    """The time in UTC and the name of the counter that counted it."""
    phc = None if found is None else vars(found)
    loop = OffWire(Snapshot({"ntp": 123}, phc=phc), [b""])
    ns = loop.arrival(*stamps, **options)
    counters: dict[str, Any] = dict(loop.counters())
    [name] = [name for name in ("stamp_hw", "stamp_xdp", "stamp_clock") if counters[name]]
    assert counters[name] == 1
    return ns, name


def utc(tai: int, offset: int = OFFSET) -> int:
    return tai - offset * SECOND


def test_the_nics_stamp() -> None:
    assert arrival(MAP, PHC + 7, TAI + 50, TAI + 90) == (utc(TAI + 7), "stamp_hw")


@pytest.mark.parametrize(
    "found, hardware",
    [
        (None, PHC + 7),
        (MAP, 0),
        # After the XDP program saw the frame, or more than a second before.
        (MAP, PHC + 51),
        (MAP, PHC + 50 - SECOND - 1),
        (MAP, 2**64 - 1),
        (MAP, 1),
    ],
)
def test_the_xdp_programs_if_the_nics_is_not_trusted(found: PhcMap | None, hardware: int) -> None:
    assert arrival(found, hardware, TAI + 50, TAI + 90) == (utc(TAI + 50), "stamp_xdp")


@pytest.mark.parametrize("after", [REACH, -REACH])
def test_how_far_a_map_reaches(after: int) -> None:
    """After eight seconds without a reading, stamps are no longer converted."""
    beyond = after + (1 if after > 0 else -1)
    for hardware, counted in ((after, "stamp_hw"), (beyond, "stamp_xdp")):
        tai = TAI + hardware
        assert arrival(MAP, PHC + hardware, tai, tai + 90) == (utc(tai), counted)


def test_the_bounds_are_trusted() -> None:
    for hardware in (50, 50 - SECOND):
        ns, name = arrival(MAP, PHC + hardware, TAI + 50, TAI + 90)
        assert (ns, name) == (utc(TAI + hardware), "stamp_hw")


@pytest.mark.parametrize("age", [-1, SECOND + 1])
def test_the_loops_own_clock_if_neither_is_trusted(age: int) -> None:
    assert arrival(MAP, PHC, TAI - age, TAI) == (utc(TAI), "stamp_clock")


def test_the_loops_own_clock_if_frames_carry_no_stamp() -> None:
    for hardware in (0, PHC):
        assert arrival(MAP, hardware, TAI, TAI, own_clock=True) == (utc(TAI), "stamp_clock")


@given(
    st.integers(0, 2**63),
    st.integers(-RATE_MAX, RATE_MAX),
    st.integers(-REACH, REACH),
    st.integers(0, SECOND),
    st.integers(0, 100),
)
def test_conversion_matches_the_fit(phc: int, rate: int, after: int, ago: int, offset: int) -> None:
    """C and Python agree to the nanosecond over the whole reach and every rate."""
    found = PhcMap(phc, TAI, rate)
    stamp = phc + after
    if not 0 < stamp < 2**64:
        return
    tai = found.tai(stamp)
    assert abs(tai - (TAI + after * (1 + rate / 2**32))) <= 1 + abs(after) / 2**40
    seen = tai + ago
    got = arrival(found, stamp, seen, seen + 100, tai_offset_s=offset)
    assert got == (utc(tai, offset), "stamp_hw")


@given(*[st.integers(0, 2**64 - 1)] * 4, st.integers(0, 2**64 - 1))
def test_any_stamps_give_a_time_within_a_second(
    phc: int, tai: int, hardware: int, xdp: int, now: int
) -> None:
    """Whatever the NIC, the map and the XDP program say: never more than two seconds ago."""
    now = now % 2**62 + 2 * SECOND
    ns, _ = arrival(PhcMap(phc, tai, RATE_MAX), hardware, xdp, now, tai_offset_s=0)
    assert now - 2 * SECOND <= ns <= now


@pytest.mark.parametrize("rate", [RATE_MAX + 1, -RATE_MAX - 1, 2**62])
def test_a_rate_that_does_not_fit(rate: int) -> None:
    with pytest.raises(ValueError, match="a rate of"):
        Snapshot({"ntp": 123}, phc={"phc_ns": 1, "tai_ns": 1, "rate": rate})


def test_a_map_is_published_and_withdrawn() -> None:
    publisher = SnapshotPublisher(Parts(ports={"ntp": 123}))
    for phc, counted in ((vars(MAP), "stamp_hw"), (None, "stamp_xdp")):
        publisher.change(phc=phc)
        loop = OffWire(publisher.shared.current, [b""])
        loop.arrival(PHC, TAI, TAI)
        assert loop.counters()[counted] == 1  # type: ignore[literal-required]


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1))
def test_status_reports_the_most_common_source(counts: list[tuple[int, int, int]]) -> None:
    names = ("stamp_hw", "stamp_xdp", "stamp_clock")
    workers = [dict(zip(names, row, strict=True)) for row in counts]
    sums = [sum(row[i] for row in counts) for i in range(3)]
    source = report.timestamps("none yet", workers)
    if not any(sums):
        assert source == "none yet"
    else:
        assert sums[("hardware", "xdp", "loop").index(source)] == max(sums)
