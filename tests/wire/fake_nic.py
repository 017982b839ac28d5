"""``python -m fake_nic ...``: ``xdpkit ...`` on interfaces that seem to have hardware timestamps.

The timestamping setting is in the file FAKE_STAMPS, or in "stamps" next to the configuration. The
clock is CLOCK_MONOTONIC_RAW, which drifts against CLOCK_TAI as a PHC does. Every published clock
map is printed to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from xdpkit._core._snapshot import PhcMap
from xdpkit.cli import main as cli
from xdpkit.nic.os import ethtool, hwtstamp
from xdpkit.nic.os.hwtstamp import Setting
from xdpkit.nic.os.phc_fit import Reading
from xdpkit.nic.setup import hardware_stamps

FILE = Path(os.environ.get("FAKE_STAMPS") or Path(sys.argv[-1]).with_name("stamps"))


class FakePhc:
    path = "/dev/ptp-fake"

    def __init__(self, _: int) -> None:
        pass

    def read(self) -> Reading:
        before = time.clock_gettime_ns(time.CLOCK_TAI)
        phc = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        after = time.clock_gettime_ns(time.CLOCK_TAI)
        return Reading(phc, (before + after) // 2, after - before)

    def close(self) -> None:
        pass


def read(_: str) -> Setting:
    text = FILE.read_text() if FILE.exists() else "0 0 0"
    return Setting(*map(int, text.split()))


def write(_: str, setting: Setting) -> Setting:
    FILE.write_text(f"{setting.flags} {setting.tx_type} {setting.rx_filter}")
    return setting


def printed_map(**fields: int) -> PhcMap:
    print("fake map", json.dumps(fields), file=sys.stderr, flush=True)
    return PhcMap(**fields)


if __name__ == "__main__":
    from xdpkit.instance import serving

    hardware_stamps.Phc = FakePhc  # type: ignore[assignment, misc]
    hwtstamp.read, hwtstamp.write = read, write
    ethtool.phc_index = lambda _: 0
    serving.PhcMap = printed_map  # type: ignore[misc, assignment]
    sys.exit(cli.main(sys.argv[1:]))
