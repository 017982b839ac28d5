"""Turns a NIC's hardware receive stamps on, and back to what they were.

linux ``Documentation/networking/timestamping.rst`` section 3, ``include/uapi/linux/net_tstamp.h``.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
from contextlib import suppress
from dataclasses import dataclass, replace

from xdpkit.closing import Closing
from xdpkit.errors import StampError
from xdpkit.nic import ethtool
from xdpkit.nic.phc import Phc

# linux/sockios.h.
SIOCSHWTSTAMP, SIOCGHWTSTAMP = 0x89B0, 0x89B1

# enum hwtstamp_rx_filters: no packet, any, "those requested and some others", NTP's. What lies
# between stamps PTP only.
FILTER_NONE, FILTER_ALL, FILTER_SOME, FILTER_NTP_ALL = 0, 1, 2, 15
STAMPS_NTP = (FILTER_ALL, FILTER_SOME, FILTER_NTP_ALL)

# struct hwtstamp_config.
_CONFIG = struct.Struct("=iii")

log = logging.getLogger("xdpkit")


@dataclass(frozen=True)
class Setting:
    """What an interface stamps in hardware; numbers of linux/net_tstamp.h."""

    flags: int
    tx_type: int
    rx_filter: int

    def command(self, ifname: str) -> str:
        """The line that a person would type for it (linuxptp)."""
        return f"hwstamp_ctl -i {ifname} -t {self.tx_type} -r {self.rx_filter}"


def read(ifname: str) -> Setting:
    """The present setting, in the calling thread's network namespace. Raises OSError."""
    return Setting(*_CONFIG.unpack(_ioctl(SIOCGHWTSTAMP, ifname, Setting(0, 0, 0))))


def write(ifname: str, setting: Setting) -> Setting:
    """Sets it; returns what the driver made of it, which may stamp more. Raises OSError."""
    return Setting(*_CONFIG.unpack(_ioctl(SIOCSHWTSTAMP, ifname, setting)))


def _ioctl(number: int, ifname: str, setting: Setting) -> bytes:
    structure = _CONFIG.pack(setting.flags, setting.tx_type, setting.rx_filter)
    return ethtool.interface_ioctl(number, ifname, structure)


class HardwareStamps(Closing):
    """Receive stamps of an interface's hardware, turned on, and the clock that they are of.

    ``close`` puts back what was set before, unless somebody has set it otherwise since; ``before``
    says it where another process turned them on. Raises StampError where the interface cannot stamp
    NTP's packets.
    """

    def __init__(self, ifname: str, before: Setting | None = None) -> None:
        self.ifname = ifname
        self.now = _present(ifname)
        self.before = before or self.now
        self.phc = _clock(ifname)
        try:
            if self.now.rx_filter not in STAMPS_NTP:
                self.now = _turn_on(ifname, self.now)
        except BaseException:
            self.phc.close()
            raise

    def said(self) -> str:
        """What was obtained and changed, for the log."""
        text = f"receive times are those of {self.ifname}'s hardware, its clock is {self.phc.path}"
        if self.now != self.before:
            undo = self.before.command(self.ifname)
            text += f"; done for it: {self.now.command(self.ifname)} (undone at the end: {undo})"
        return text

    def close(self) -> None:
        if self.now != self.before:
            try:
                if read(self.ifname) == self.now:
                    write(self.ifname, self.before)
            except OSError as error:
                # An interface that is gone took its setting with it.
                if error.errno != errno.ENODEV:
                    log.warning(
                        "the hardware stamps of %s were not turned off (%s): %s does it",
                        self.ifname,
                        error.strerror,
                        self.before.command(self.ifname),
                    )
            self.now = self.before
        self.phc.close()


def _present(ifname: str) -> Setting:
    try:
        return read(ifname)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StampError(
            f"the driver of {ifname} has no stamps of its hardware (SIOCGHWTSTAMP: {reason})"
        ) from error


def _clock(ifname: str) -> Phc:
    try:
        index = ethtool.phc_index(ifname)
    except OSError as error:
        raise StampError(f"{ifname}: its clock is not known ({error.strerror})") from error
    if index < 0:
        raise StampError(f"{ifname} has no hardware clock (ethtool -T {ifname})")
    try:
        return Phc(index)
    except OSError as error:
        raise StampError(
            f"the clock of {ifname}, /dev/ptp{index}, cannot be read ({error.strerror})"
        ) from error


def _turn_on(ifname: str, before: Setting) -> Setting:
    if before.rx_filter != FILTER_NONE:
        raise StampError(
            f"the hardware of {ifname} stamps PTP packets only, for another program "
            f"(rx_filter {before.rx_filter}), and that is left alone: let it stamp all with "
            f"'{replace(before, rx_filter=FILTER_ALL).command(ifname)}'"
        )
    for rx_filter in (FILTER_ALL, FILTER_NTP_ALL):
        try:
            now = write(ifname, replace(before, rx_filter=rx_filter))
        except OSError as error:
            # ERANGE: not this filter (timestamping.rst); drivers say the others too.
            if error.errno in (errno.ERANGE, errno.EINVAL, errno.EOPNOTSUPP):
                continue
            raise StampError(
                f"the hardware stamps of {ifname} cannot be turned on ({error.strerror})"
            ) from error
        if now.rx_filter in STAMPS_NTP:
            return now
        with suppress(OSError):
            write(ifname, before)
    raise StampError(f"the hardware of {ifname} stamps PTP packets only (ethtool -T {ifname})")
