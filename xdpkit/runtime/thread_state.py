"""The state of each answering thread, sized by the configuration."""

from __future__ import annotations

from xdpkit._core._thread_state import ThreadState
from xdpkit.config import DnsConfig, NtpConfig
from xdpkit.config.ntp import RateLimitConfig

# Prefixes whose DNS answers are counted: by default enough for 3 million answers a second to as
# many sources (cext/admit/rrl.h), more than a thread sends. One MiB.
_ANSWERS = 65536


def new_thread_state(ntp: NtpConfig | None, dns: DnsConfig | None) -> ThreadState:
    """The state of one more thread; without NTP and DNS, the smallest possible.

    Requests and answers have their tables even if nothing limits them: a reload may. Raises
    MemoryError.
    """
    return ThreadState(
        interleaved=ntp.interleaved if ntp else 0,
        limited=(ntp.limit or RateLimitConfig()).addresses if ntp else 0,
        compensate=ntp.tx_compensation if ntp else False,
        answers=_ANSWERS if dns else 0,
    )
