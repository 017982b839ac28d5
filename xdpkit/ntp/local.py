"""NTP state of ``source = "local"``: this machine's clock, at the operator's ``stratum``."""

from __future__ import annotations

import secrets

from xdpkit.cext._snapshot import clock_precision

# 127.127.1.1: the reference id of an undisciplined local clock, as in chrony and ntpd.
REFID_LOCAL = 0x7F7F0101


def local_state(stratum: int) -> dict[str, int]:
    """Fields of struct ntp_state (``cext/snapshot.h``) for a clock that is its own reference.

    Root delay and dispersion are 0, as there is no path to a better clock to add any.
    """
    return {
        "leap": 0,
        "stratum": stratum,
        "precision": clock_precision(),
        "refid": REFID_LOCAL,
        "mono_epoch": secrets.randbits(32),
    }
