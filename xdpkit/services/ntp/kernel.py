"""NTP state of ``source = "kernel"``: what adjtimex(2) says about this clock's discipline."""

from __future__ import annotations

import time
from typing import ClassVar

from xdpkit._core._clock import adjtimex
from xdpkit.services.ntp.polled import Polled, expiry
from xdpkit.services.ntp.state import (
    LEAP_DELETE,
    LEAP_INSERT,
    LEAP_NONE,
    PHI_PPM,
    SHORT_UNITS,
    State,
    leap_end,
    short_sum,
)

# linux/timex.h: time states (TIME_*) and status bits (STA_*).
TIME_OK, TIME_INS, TIME_DEL, TIME_OOP, TIME_WAIT, TIME_ERROR = range(6)
STA_INS, STA_DEL, STA_UNSYNC, STA_CLOCKERR = 0x10, 0x20, 0x40, 0x1000

_LEAPS = {
    TIME_INS: LEAP_INSERT,
    TIME_DEL: LEAP_DELETE,
    # During the inserted second itself: midnight is still to come.
    TIME_OOP: LEAP_INSERT,
    # The leap second is over, whatever bit is still set.
    TIME_WAIT: LEAP_NONE,
}


def is_disciplined(status: int) -> bool:
    """Whether the clock is being disciplined.

    Judged by the status bits, as TIME_ERROR can also mean a missing pulse-per-second signal.
    """
    return not status & (STA_UNSYNC | STA_CLOCKERR)


def leap(time_state: int, status: int) -> int:
    """The leap indicator of a disciplined clock.

    The kernel acts on a bit at the next second (``second_overflow`` in kernel/time/ntp.c), and
    TIME_ERROR hides the leap state: in both cases the bits decide.
    """
    if time_state in _LEAPS:
        return _LEAPS[time_state]
    if status & STA_INS:
        return LEAP_INSERT
    return LEAP_DELETE if status & STA_DEL else LEAP_NONE


def dispersion(maxerror_us: int) -> int:
    """The kernel's error bound, which it ages itself, in NTP short format, rounded up."""
    return short_sum(-(-max(0, maxerror_us) * SHORT_UNITS // 1_000_000))


class Kernel(Polled):
    """The clock as the kernel sees it; stratum and reference ID come from the operator.

    If adjtimex fails, the last state holds for ``holdover_s``; if the kernel reports the clock as
    unsynchronized, that takes effect immediately.
    """

    fixes: ClassVar = {
        "unsynchronised": "the kernel's clock is not synchronized: start a daemon that disciplines "
        "it (chrony: with rtcsync)",
        "os_error": "adjtimex is not permitted: allow it in the system call filter",
    }

    def __init__(self, stratum: int, refid: int, precision: int, holdover_s: int) -> None:
        super().__init__("kernel")
        self._stratum, self._refid, self._precision = stratum, refid, precision
        self._holdover_s = holdover_s

    async def poll(self) -> None:
        """Reads the kernel's clock state."""
        self.polls += 1
        # Before adjtimex: an announced leap second is never mistaken for one on the next day.
        utc_ns = time.time_ns()
        try:
            time_state, status, maxerror_us = adjtimex()
        except OSError:
            self._ignore("os_error")
            return
        if is_disciplined(status):
            self._answered(self._read(leap(time_state, status), maxerror_us, utc_ns))
        else:
            self._state = None
            self._ignore("unsynchronised")

    def _read(self, leap: int, maxerror_us: int, utc_ns: int) -> State:
        now_ns = time.monotonic_ns()
        return State(
            leap=leap,
            stratum=self._stratum,
            precision=self._precision,
            root_delay=0,
            root_dispersion=dispersion(maxerror_us),
            refid=self._refid,
            reference=0,
            updated_ns=now_ns,
            expires_ns=expiry(now_ns, self._holdover_s),
            drift_ppm=PHI_PPM,
            leap_ends_ns=leap_end(leap, utc_ns),
        )
