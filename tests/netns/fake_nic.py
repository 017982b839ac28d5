"""``python -m fake_nic FILE``: ``xdpkit run -c FILE`` on an interface that seems to have a clock.

The clock is CLOCK_MONOTONIC_RAW, which drifts against CLOCK_TAI as a NIC's does. Every map that is
published goes to standard error, and so does the end of the stamps.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from xdpkit import cli, rx_stamps
from xdpkit.nic.hwtstamp import HardwareStamps
from xdpkit.nic.phc_fit import Reading
from xdpkit.publication import Publication


class FakePhc:
    path = "/dev/ptp-fake"

    def read(self) -> Reading:
        before = time.clock_gettime_ns(time.CLOCK_TAI)
        phc = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        after = time.clock_gettime_ns(time.CLOCK_TAI)
        return Reading(phc, (before + after) // 2, after - before)


class FakeStamps(HardwareStamps):
    def __init__(self, ifname: str) -> None:
        self.ifname, self.phc = ifname, FakePhc()  # type: ignore[assignment]

    def said(self) -> str:
        return f"fake stamps of {self.ifname}"

    def close(self) -> None:
        print("fake stamps closed", file=sys.stderr, flush=True)


class ToldPublication(Publication):
    def change(self, **parts: Any) -> None:
        super().change(**parts)
        if "phc" in parts:
            print("fake map", json.dumps(parts["phc"]), file=sys.stderr, flush=True)


if __name__ == "__main__":
    from xdpkit import daemon

    rx_stamps.HardwareStamps = FakeStamps  # type: ignore[misc]
    daemon.Publication = ToldPublication  # type: ignore[misc]
    sys.exit(cli.main(["run", "-c", sys.argv[1]]))
