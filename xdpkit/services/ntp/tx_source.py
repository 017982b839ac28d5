"""The source of true transmit times of NTP replies, by configuration and interface."""

from __future__ import annotations

from xdpkit.config.ntp import NtpConfig


def transmit_source(config: NtpConfig | None, kind: str, zerocopy: bool) -> str:
    """A queue's source of true transmit times: hardware, completion, or kick (there is none).

    ``kind`` is the interface's. A zero-copy driver reports the NIC's clock. In copy mode the kernel
    takes the timestamp when it frees the frame: on veth that is when it was sent, but on a NIC only
    after the completion interrupt, so there it must be asked for in the configuration.
    """
    if config is None or config.tx_timestamps == "kick":
        return "kick"
    if zerocopy:
        return "hardware"
    return "completion" if kind == "veth" or config.tx_timestamps == "completion" else "kick"
