"""The NIC's clock against CLOCK_TAI: a straight line through recent readings of both.

A reading is bracketed by two reads of the system's clock, so it is never wrong by more than half
of what lies between them. What is further from the line than that is no noise: a clock was set.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import combinations
from statistics import median

# cext/runtime/phc.h: PHC_RATE_BITS and PHC_RATE_MAX.
RATE_BITS = 32
RATE_MAX = 1 << 28

# Enough for a median that a few bad ones do not move; old ones say little of a steered clock.
LEAST, MOST = 8, 16

# How far two clocks under steering bend away from a line of MOST seconds: 1 ppm for half of it.
BEND_NS = 10_000

# So many readings in a row off the line make a new line; fewer were outliers.
ODD = 2


@dataclass(frozen=True)
class Reading:
    """The NIC's clock at one moment, and CLOCK_TAI midway between two reads around it."""

    phc_ns: int
    tai_ns: int
    delay_ns: int
    """Between those two reads."""


@dataclass(frozen=True)
class PhcMap:
    """struct phc_map of ``cext/runtime/phc.h``."""

    phc_ns: int
    tai_ns: int
    rate: int

    def tai(self, phc_ns: int) -> int:
        """CLOCK_TAI at a time of the NIC's clock."""
        after = phc_ns - self.phc_ns
        return self.tai_ns + after + (after * self.rate >> RATE_BITS)

    def fits(self, reading: Reading) -> bool:
        """Whether a reading is as near as its own uncertainty allows."""
        off = abs(self.tai(reading.phc_ns) - reading.tai_ns)
        return off <= reading.delay_ns // 2 + BEND_NS


class PhcFit:
    """Takes readings in their order, gives the map that they make, or None."""

    def __init__(self) -> None:
        self._kept: deque[Reading] = deque(maxlen=MOST)
        self._odd = 0
        self._map: PhcMap | None = None

    def add(self, reading: Reading) -> PhcMap | None:
        """None before there are enough readings, and from the first that is off the line until the
        line has proved itself or another is found: better no time than a wrong one.
        """
        backwards = bool(self._kept) and reading.phc_ns <= self._kept[-1].phc_ns
        if backwards or (self._map and not self._map.fits(reading)):
            self._odd += 1
            if self._odd == ODD:
                self.forget()
                self._kept.append(reading)
            return None
        self._odd = 0
        self._kept.append(reading)
        self._map = line(list(self._kept))
        return self._map

    def forget(self) -> None:
        """Begins anew, when the clock may have been set since the last reading."""
        self._kept.clear()
        self._odd, self._map = 0, None


def line(readings: list[Reading]) -> PhcMap | None:
    """The line by Theil and Sen: median of the slopes between any two, median of the offsets.

    Up to a quarter of the readings may be anything. None where they are too few, lie on no line, or
    on one steeper than RATE_MAX. ``phc_ns`` must rise.
    """
    if len(readings) < LEAST:
        return None
    last = readings[-1]
    points = [
        (r.phc_ns - last.phc_ns, (r.tai_ns - r.phc_ns) - (last.tai_ns - last.phc_ns))
        for r in readings
    ]
    slope = median((y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2))
    offset = median(y - slope * x for x, y in points)
    rate = round(slope * (1 << RATE_BITS))
    if abs(rate) > RATE_MAX:
        return None
    found = PhcMap(last.phc_ns, last.tai_ns + round(offset), rate)
    good = sum(found.fits(reading) for reading in readings)
    return found if good * 4 >= len(readings) * 3 else None
