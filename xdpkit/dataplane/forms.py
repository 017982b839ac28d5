"""Which form of the XDP program is wanted; ``attach.py`` says what each is for.

It needs no more than an interface's index: ``begin`` is called before most of the server is
imported (instance/run.py).
"""

from __future__ import annotations

from xdpkit.bpf import loader
from xdpkit.config import InterfaceConfig
from xdpkit.nic.os import netdev


def begin(config: InterfaceConfig, ifindex: int) -> loader.Loading:
    """Begins to load the program that will probably be attached. Raises BpfError."""
    bound = wants_stamps(config) and offered(ifindex) is not False
    name, macros, bound_to = wanted(config, ifindex, bound)
    return loader.Loading(name, *macros, ifindex=bound_to)


def wants_stamps(config: InterfaceConfig) -> bool:
    """Whether a bound program is tried, if the driver may have stamps."""
    if config.rx_timestamps == "auto":
        return config.mode != "generic"
    return config.rx_timestamps == "hardware"


def wanted(config: InterfaceConfig, ifindex: int, bound: bool) -> tuple[str, tuple[str, ...], int]:
    """The program that reads the NIC's stamps, or the plain one, as ``loader.load`` takes it."""
    if bound:
        return "steer", ("STEER_RX_TIMESTAMP",), ifindex
    return "steer", ("STEER_NO_METADATA",) if config.rx_timestamps == "loop" else (), 0


def offered(ifindex: int) -> bool | None:
    """Whether the driver has receive stamps for XDP; None if that is not known."""
    try:
        return netdev.offers_rx_timestamp(ifindex)
    except OSError:
        return None
