"""NTP state of ``source = "local"``: this machine's clock, at the operator's ``stratum``."""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict

from xdpkit._core._clock import clock_precision
from xdpkit.services.ntp.polled import Polled
from xdpkit.services.ntp.state import LEAP_NONE, NEVER, State

# 127.127.1.1: the reference ID of an undisciplined local clock, as in chrony and ntpd.
REFID_LOCAL = 0x7F7F0101


class Local(Polled):
    """A clock that is its own reference: the operator vouches for it, nothing is polled.

    Root delay and dispersion are 0, as there is no path to a better clock.
    """

    def __init__(self, stratum: int, refid: int, precision: int) -> None:
        super().__init__("local")
        self._state = State(
            leap=LEAP_NONE,
            stratum=stratum,
            precision=precision,
            root_delay=0,
            root_dispersion=0,
            refid=refid,
            reference=0,
            updated_ns=time.monotonic_ns(),
            expires_ns=NEVER,
            drift_ppm=0,
            leap_ends_ns=0,
        )

    async def poll(self) -> None:
        """Nothing to poll."""


def local_state(stratum: int) -> dict[str, int]:
    """The NTP part of a snapshot with a local clock, where no service keeps it up to date."""
    state = Local(stratum, REFID_LOCAL, clock_precision()).current(time.monotonic_ns())
    assert state is not None
    return asdict(state) | {"mono_epoch": secrets.randbits(32)}
