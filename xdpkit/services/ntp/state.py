"""What the server says about its own clock (RFC 5905 section 9.1), as sent by ``cext/ntp/reply.c``.

Times are CLOCK_MONOTONIC in nanoseconds unless noted; delay and dispersion are in NTP short format,
units of 2^-16 s in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass

SHORT_UNITS = 1 << 16
SHORT_MAX = 0xFFFFFFFF

# RFC 5905 figure 27, PHI: frequency tolerance of an undisciplined clock.
PHI_PPM = 15

NEVER = 2**63 - 1
SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS

# RFC 5905 figure 9: leap indicator.
LEAP_NONE, LEAP_INSERT, LEAP_DELETE, LEAP_UNKNOWN = range(4)


@dataclass(frozen=True)
class State:
    """Fields of struct ntp_state (``cext/runtime/snapshot.h``), by its names and in its units.

    ``reference`` 0 is a clock that is its own reference: its last update is the latest second.
    ``root_dispersion`` is as of ``updated_ns`` and grows by ``drift_ppm``. At ``expires_ns`` the
    state expires. ``leap_ends_ns`` is the UTC midnight at which leap 1 or 2 ends, else 0.
    """

    leap: int
    stratum: int
    precision: int
    root_delay: int
    root_dispersion: int
    refid: int
    reference: int
    updated_ns: int
    expires_ns: int
    drift_ppm: int
    leap_ends_ns: int

    def age_s(self, now_ns: int) -> float:
        """Its age in seconds; 0 for a state that does not age."""
        return max(0, now_ns - self.updated_ns) / SECOND_NS if self.drift_ppm else 0.0

    def leap_now(self, utc_ns: int) -> int:
        """The leap indicator as of now: an announcement ends at its midnight."""
        return LEAP_NONE if 0 < self.leap_ends_ns <= utc_ns else self.leap

    def dispersion_s(self, now_ns: int) -> float:
        """The root dispersion as of now, in seconds."""
        return self.root_dispersion / SHORT_UNITS + self.age_s(now_ns) * self.drift_ppm / 1e6


def unsynchronized_state(precision: int) -> State:
    """A server without time: LI 3, stratum 0, delay and dispersion 1 s, like chronyd."""
    return State(
        leap=LEAP_UNKNOWN,
        stratum=0,
        precision=precision,
        root_delay=SHORT_UNITS,
        root_dispersion=SHORT_UNITS,
        refid=0,
        reference=0,
        updated_ns=0,
        expires_ns=NEVER,
        drift_ppm=0,
        leap_ends_ns=0,
    )


def short_sum(*units: int) -> int:
    """A saturating sum in NTP short format."""
    return min(sum(units), SHORT_MAX)


def leap_end(leap: int, utc_ns: int) -> int:
    """When an announced leap second ends: the first UTC midnight after ``utc_ns``; else 0.

    A leap second is the last second of a UTC day (ITU-R TF.460-6 section 2.1).
    """
    if leap not in (LEAP_INSERT, LEAP_DELETE):
        return 0
    return (utc_ns // DAY_NS + 1) * DAY_NS
