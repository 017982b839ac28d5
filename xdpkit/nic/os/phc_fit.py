"""Maps the PHC to CLOCK_TAI: a straight line through recent readings of both.

A reading is bracketed by two reads of the system clock, so it is never wrong by more than half the
time between them. Anything further from the line than that is not noise: a clock was set.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from xdpkit._core._limits import PHC_RATE_BITS, PHC_RATE_MAX

RATE_BITS = PHC_RATE_BITS
RATE_MAX = PHC_RATE_MAX

# Enough readings for a median that a few bad ones do not move; old ones say little about a
# disciplined clock.
LEAST, MOST = 8, 16

# How far two disciplined clocks bend away from a line of MOST seconds: 1 ppm for half of it.
BEND_NS = 10_000

# This many readings in a row off the line start a new line; fewer are outliers.
STRAY_LIMIT = 2


@dataclass(frozen=True)
class Reading:
    """The PHC at one moment, and CLOCK_TAI midway between the two reads around it."""

    phc_ns: int
    tai_ns: int
    delay_ns: int
    """Time between those two reads."""


@dataclass(frozen=True)
class PhcMap:
    """struct phc_map of ``cext/runtime/phc.h``."""

    phc_ns: int
    tai_ns: int
    rate: int

    def tai(self, phc_ns: int) -> int:
        """CLOCK_TAI at a given PHC time."""
        after = phc_ns - self.phc_ns
        return self.tai_ns + after + (after * self.rate >> RATE_BITS)

    def fits(self, reading: Reading) -> bool:
        """Whether a reading is within its own uncertainty of the line."""
        off = abs(self.tai(reading.phc_ns) - reading.tai_ns)
        return off <= reading.delay_ns // 2 + BEND_NS


class PhcFit:
    """Takes readings in order, and returns the map that fits them, or None."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=MOST)
        self._strays = 0
        self._map: PhcMap | None = None

    def add(self, reading: Reading) -> PhcMap | None:
        """None until there are enough readings, and from the first one off the line until the line
        is confirmed or another is found: no time is better than a wrong one.
        """
        backwards = bool(self._readings) and reading.phc_ns <= self._readings[-1].phc_ns
        if backwards or (self._map and not self._map.fits(reading)):
            self._strays += 1
            if self._strays == STRAY_LIMIT:
                self.forget()
                self._readings.append(reading)
            return None
        self._strays = 0
        self._readings.append(reading)
        self._map = fit_line(list(self._readings))
        return self._map

    def forget(self) -> None:
        """Starts over, when the clock may have been set since the last reading."""
        self._readings.clear()
        self._strays, self._map = 0, None


def fit_line(readings: list[Reading]) -> PhcMap | None:
    """Theil-Sen estimator: median of the slopes between all pairs, median of the offsets.

    Up to a quarter of the readings may be arbitrary. None where there are too few, they fit no
    line, or one steeper than RATE_MAX. ``phc_ns`` must increase.
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
