"""Compares the PHC, /dev/ptpN, with the system clock, and publishes the mapping between them.

Linux ``include/uapi/linux/ptp_clock.h``: the kernel reads both clocks in turn, closer together than
any two system calls could.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Protocol

import anyio

from xdpkit.nic.os.phc_fit import PhcFit, PhcMap, Reading
from xdpkit.runtime.closing import Closing

# struct ptp_sys_offset_extended and ptp_sys_offset: n_samples, 3 reserved; then [25][3] or [51] of
# struct ptp_clock_time: seconds, nanoseconds, reserved.
_HEAD = struct.Struct("=I12x")
_TIME = struct.Struct("=qI4x")
_EXTENDED_BYTES = _HEAD.size + 25 * 3 * _TIME.size
_BASIC_BYTES = _HEAD.size + 51 * _TIME.size
# _IOWR('=', 9, ...) and _IOW('=', 5, ...), as include/uapi/asm-generic/ioctl.h makes them.
PTP_SYS_OFFSET_EXTENDED = 3 << 30 | _EXTENDED_BYTES << 16 | ord("=") << 8 | 9
PTP_SYS_OFFSET = 1 << 30 | _BASIC_BYTES << 16 | ord("=") << 8 | 5

# Cross readings at a time, of which the tightest is used: each takes a few microseconds over
# PCIe, and at least one in ten is undisturbed.
SAMPLES = 10

# Interval between readings while there is no map, and once there is one.
FIRST_SECONDS, PERIOD_SECONDS = 0.125, 1.0

log = logging.getLogger("xdpkit")


class Phc(Closing):
    """The clock /dev/ptpN. Raises OSError when it cannot be opened."""

    def __init__(self, index: int) -> None:
        self.path = f"/dev/ptp{index}"
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        self._extended = True

    def read(self) -> Reading | None:
        """The best of SAMPLES cross readings; None when the TAI-UTC offset changed meanwhile.

        Raises OSError.
        """
        before = tai_offset_ns()
        found = best(self._sample())
        # The kernel brackets with CLOCK_REALTIME (ptp_chardev.c); TAI has no leap seconds.
        if tai_offset_ns() != before:
            return None
        return Reading(found.phc_ns, found.tai_ns + before, found.delay_ns)

    def _sample(self) -> list[tuple[int, int, int]]:
        if self._extended:
            data = request(_EXTENDED_BYTES)
            try:
                fcntl.ioctl(self._fd, PTP_SYS_OFFSET_EXTENDED, data)
                return extended_samples(data)
            except OSError as error:
                # The driver (EOPNOTSUPP) or the kernel (ENOTTY) lacks it: use the older call.
                if error.errno not in (errno.EOPNOTSUPP, errno.ENOTTY):
                    raise
            self._extended = False
        data = request(_BASIC_BYTES)
        fcntl.ioctl(self._fd, PTP_SYS_OFFSET, data)
        return basic_samples(data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def tai_offset_ns() -> int:
    """How far CLOCK_TAI is ahead of CLOCK_REALTIME: whole seconds, in nanoseconds."""
    utc = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return (time.clock_gettime_ns(time.CLOCK_TAI) - utc + 500_000_000) // 10**9 * 10**9


def request(size: int) -> bytearray:
    """The request structure of either call, for SAMPLES readings."""
    return bytearray(_HEAD.pack(SAMPLES).ljust(size, b"\0"))


def extended_samples(data: bytes | bytearray) -> list[tuple[int, int, int]]:
    """(system, PHC, system) times in nanoseconds from PTP_SYS_OFFSET_EXTENDED's reply."""
    times = _times(data, 3 * SAMPLES)
    return list(zip(times[::3], times[1::3], times[2::3], strict=True))


def basic_samples(data: bytes | bytearray) -> list[tuple[int, int, int]]:
    """The same from PTP_SYS_OFFSET's reply, where neighbors share a system time."""
    times = _times(data, 2 * SAMPLES + 1)
    return list(zip(times[:-1:2], times[1::2], times[2::2], strict=True))


def _times(data: bytes | bytearray, count: int) -> list[int]:
    raw = data[_HEAD.size : _HEAD.size + count * _TIME.size]
    return [seconds * 10**9 + ns for seconds, ns in _TIME.iter_unpack(raw)]


def best(samples: list[tuple[int, int, int]]) -> Reading:
    """The sample whose system times are closest together; ``tai_ns`` is in the system's clock."""
    before, phc, after = min(samples, key=lambda sample: abs(sample[2] - sample[0]))
    return Reading(phc, (before + after) // 2, abs(after - before))


class Clock(Protocol):
    """What PhcWatch reads, such as a Phc."""

    path: str

    def read(self) -> Reading | None: ...


class PhcWatch:
    """Reads the PHC about once a second and calls ``publish`` with each new map, or None.

    None is published once: receive times come from the XDP program until there is a map again.
    """

    def __init__(self, clock: Clock, publish: Callable[[dict[str, int] | None], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._fit = PhcFit()
        self._map: PhcMap | None = None
        self._failing = False

    async def run(self) -> None:
        """Runs until cancelled."""
        while True:
            self._change(self.update())
            await anyio.sleep(PERIOD_SECONDS if self._map else FIRST_SECONDS)

    def update(self) -> PhcMap | None:
        """Takes one reading; returns the map of the readings so far."""
        try:
            reading = self._clock.read()
        except OSError as error:
            if not self._failing:
                log.warning("%s cannot be read: %s", self._clock.path, error.strerror)
            self._failing = True
            # A NIC that comes back from a reset may have set its clock.
            self._fit.forget()
            return None
        if self._failing:
            log.info("%s can be read again", self._clock.path)
        self._failing = False
        return self._fit.add(reading) if reading else None

    def _change(self, found: PhcMap | None) -> None:
        if found or self._map:
            self._publish(asdict(found) if found else None)
        self._map = found
