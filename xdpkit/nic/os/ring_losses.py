"""What the NIC dropped because its RX rings had no free descriptor: from ``ethtool -S``.

Drivers give that many names, and often several to one loss: so the largest of the counters that can
mean it is taken, never their sum. The kernel's own rx_missed_errors has one meaning for all drivers
(Linux ``Documentation/networking/statistics.rst``), but some do not fill it in. rx_dropped is left
out: veth and others count there what AF_XDP dropped, which is counted where that happened.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from xdpkit.nic.os.ethtool_stats import driver_statistics, link_statistics

# By the driver's name for it; the drivers' sources in Linux drivers/net/ethernet.
_NAMES = frozenset(
    {
        "rx_missed_errors",  # the kernel's; e1000e, igb, igc, ixgbe, i40e
        "rx_out_of_buffer",  # mlx5
        "rx_discards_phy",  # mlx5: its own buffer, which backs up behind the rings
        "rx_no_dma_resources",  # ixgbe, with drop_en
        "port.rx_discards",  # i40e
        "rx_dropped.nic",  # ice
        "rx_discards",  # tg3, bnx2x
        "rx_total_discard_pkts",  # bnxt
        "rx_overruns",  # ena
    }
)


@dataclass(frozen=True)
class RingLosses:
    """``lost`` packets since the driver was loaded; ``counters`` are those that may mean it."""

    lost: int
    counters: dict[str, int]

    def since(self, before: RingLosses) -> RingLosses:
        """The losses after another look; a driver that was reset counts from 0 again."""
        counters = {
            name: count - (old if (old := before.counters.get(name, 0)) <= count else 0)
            for name, count in self.counters.items()
        }
        return RingLosses(max(counters.values(), default=0), counters)


def ring_losses(ifname: str, ifindex: int) -> RingLosses:
    """Reads the counters; those that cannot be read count nothing."""
    found: dict[str, int] = {}
    with suppress(OSError):
        found |= link_statistics(ifindex)
    # The driver may have none.
    with suppress(OSError):
        found |= driver_statistics(ifname)
    counters = {name: count for name, count in sorted(found.items()) if name in _NAMES}
    return RingLosses(max(counters.values(), default=0), counters)
