"""What each answering thread remembers of NTP, sized by the configuration."""

from __future__ import annotations

from xdpkit.cext._memory import Memory
from xdpkit.ntp.config import NtpConfig


def new_memory(config: NtpConfig | None) -> Memory:
    """The memory of one more thread; without NTP the smallest there is. Raises MemoryError."""
    if config is None:
        return Memory()
    return Memory(
        interleaved=config.interleaved,
        limited=config.limit.addresses if config.limit else 0,
        compensate=config.tx_compensation,
    )


def transmit_source(config: NtpConfig | None, kind: str, zerocopy: bool) -> str:
    """Where a queue's true transmit times come from: hardware, completion, or kick (none do).

    ``kind`` is the interface's. A driver with zero-copy tells what the NIC's clock said. In copy
    mode the kernel's stamp is taken when it frees the frame: on veth that is when it was sent, but
    behind a NIC only after the completion interrupt, so that one must ask for it.
    """
    if config is None or config.tx_timestamps == "kick":
        return "kick"
    if zerocopy:
        return "hardware"
    return "completion" if kind == "veth" or config.tx_timestamps == "completion" else "kick"
