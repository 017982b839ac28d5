"""Where the true transmit times of NTP replies come from, by configuration and interface."""

from __future__ import annotations

from xdpkit.config.ntp import NtpConfig


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
