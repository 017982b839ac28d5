"""The ioctls that select which packets a NIC timestamps in hardware.

Linux ``Documentation/networking/timestamping.rst`` section 3, ``include/uapi/linux/net_tstamp.h``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xdpkit.nic.os import ethtool

# linux/sockios.h.
SIOCSHWTSTAMP, SIOCGHWTSTAMP = 0x89B0, 0x89B1

# enum hwtstamp_rx_filters: no packets, all, "those requested and some others", NTP. The values
# in between stamp PTP only.
FILTER_NONE, FILTER_ALL, FILTER_SOME, FILTER_NTP_ALL = 0, 1, 2, 15
STAMPS_NTP = (FILTER_ALL, FILTER_SOME, FILTER_NTP_ALL)

# struct hwtstamp_config.
_CONFIG = struct.Struct("=iii")


@dataclass(frozen=True)
class Setting:
    """What an interface timestamps in hardware, in the values of linux/net_tstamp.h."""

    flags: int
    tx_type: int
    rx_filter: int

    @property
    def stamps_ntp(self) -> bool:
        """Whether NTP packets are timestamped."""
        return self.rx_filter in STAMPS_NTP

    def command(self, ifname: str) -> str:
        """The equivalent command line (linuxptp)."""
        return f"hwstamp_ctl -i {ifname} -t {self.tx_type} -r {self.rx_filter}"


def read(ifname: str) -> Setting:
    """The current setting, in the calling thread's network namespace. Raises OSError."""
    return Setting(*_CONFIG.unpack(_ioctl(SIOCGHWTSTAMP, ifname, Setting(0, 0, 0))))


def write(ifname: str, setting: Setting) -> Setting:
    """Sets it; returns what the driver actually set, which may stamp more. Raises OSError."""
    return Setting(*_CONFIG.unpack(_ioctl(SIOCSHWTSTAMP, ifname, setting)))


def _ioctl(number: int, ifname: str, setting: Setting) -> bytes:
    structure = _CONFIG.pack(setting.flags, setting.tx_type, setting.rx_filter)
    return ethtool.interface_ioctl(number, ifname, structure)
