"""Turns on a NIC's hardware receive timestamps, through the journal, and opens their clock."""

from __future__ import annotations

import errno
import os
from dataclasses import asdict, replace

from xdpkit.errors import JournalError, SettingError, StampError
from xdpkit.nic.os import ethtool, hwtstamp
from xdpkit.nic.os.hwtstamp import FILTER_ALL, FILTER_NONE, FILTER_NTP_ALL
from xdpkit.nic.os.phc import Phc
from xdpkit.nic.setup import setting
from xdpkit.nic.setup.apply import Changes
from xdpkit.nic.setup.plan import Step
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.reasons import failed

# ERANGE: filter not supported (timestamping.rst); drivers return the others, too. 0: the driver
# accepted it, but stamps PTP only.
_NOT_THIS = (errno.ERANGE, errno.EINVAL, errno.EOPNOTSUPP, 0)


class HardwareStamps(Closing):
    """An interface's hardware receive timestamps, turned on, and the PHC that they come from.

    They are turned off with the other changes to the interface (``PreparedNic.close``), and after a
    crash by its journal. Where they are ``taken_over`` from an instance that is still serving,
    nothing is changed: packets without one then get the XDP program's. ``close`` closes the PHC.
    Raises StampError if the interface cannot timestamp NTP packets.
    """

    def __init__(self, changes: Changes, taken_over: bool = False) -> None:
        self._changes = changes
        self.ifname = changes.device.name
        self.before = _present(self.ifname)
        self.now = self.before
        self.phc = _clock(self.ifname)
        try:
            if not taken_over and not self.now.stamps_ntp:
                self.now = _turn_on(changes, self.before)
        except BaseException:
            self.phc.close()
            raise

    def describe(self) -> str:
        """Says what was obtained and changed, for the log."""
        text = f"receive times come from {self.ifname}'s hardware, clock {self.phc.path}"
        if self.now != self.before:
            undo = self.before.command(self.ifname)
            text += f"; set by {self.now.command(self.ifname)} (undone on exit: {undo})"
        return text

    def give_up(self) -> None:
        """Turns them off again: the XDP program that would read them is not available."""
        self._changes.undo(setting.STAMPS)
        self.close()

    def close(self) -> None:
        """Closes the clock; the NIC keeps stamping until its changes are undone."""
        self.phc.close()


def _present(ifname: str) -> hwtstamp.Setting:
    try:
        return hwtstamp.read(ifname)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY):
            reason = os.strerror(error.errno)
            text = f"the driver of {ifname} has no hardware timestamps (SIOCGHWTSTAMP: {reason})"
        else:
            text = failed(f"the hardware timestamps of {ifname}: SIOCGHWTSTAMP", error)
        raise StampError(text) from error


def _clock(ifname: str) -> Phc:
    try:
        index = ethtool.phc_index(ifname)
    except OSError as error:
        raise StampError(f"{ifname}: its hardware clock is unknown ({error.strerror})") from error
    if index < 0:
        raise StampError(f"{ifname} has no hardware clock (ethtool -T {ifname})")
    try:
        return Phc(index)
    except OSError as error:
        raise StampError(
            f"the clock of {ifname}, /dev/ptp{index}, cannot be read ({error.strerror})"
        ) from error


def _turn_on(changes: Changes, before: hwtstamp.Setting) -> hwtstamp.Setting:
    ifname = changes.device.name
    if before.rx_filter != FILTER_NONE:
        raise StampError(
            f"the hardware of {ifname} stamps PTP packets only, for another program "
            f"(rx_filter {before.rx_filter}), which is left alone: let it stamp all packets with "
            f"'{replace(before, rx_filter=FILTER_ALL).command(ifname)}'"
        )
    for rx_filter in (FILTER_ALL, FILTER_NTP_ALL):
        value = asdict(replace(before, rx_filter=rx_filter))
        try:
            changes.apply(Step(setting.STAMPS, value, "receive times from the hardware"))
        except SettingError as error:
            if error.errno in _NOT_THIS:
                continue
            raise StampError(
                f"the hardware timestamps of {ifname} cannot be turned on ({error})"
            ) from error
        except JournalError as error:
            raise StampError(f"the hardware timestamps are left off: {error}") from error
        return _present(ifname)
    raise StampError(f"the hardware of {ifname} stamps PTP packets only (ethtool -T {ifname})")
