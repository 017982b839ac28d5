"""What each driver supports, since which kernel, and up to which MTU.

What the kernel itself reports (netdev family, since 6.3) takes precedence.
"""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int]

COMMIT = "https://github.com/torvalds/linux/commit/"

# Where most_mtu comes from: calculated for kernel 6.8, x86, a program without multi-buffer.
MTU_SOURCE = "https://docs.ebpf.io/linux/program-type/BPF_PROG_TYPE_XDP/#max-mtu"


@dataclass(frozen=True)
class Support:
    """Since which kernel a driver has native XDP and zero-copy, with the commits that added them.

    None: not as of 6.10. ``most_mtu`` is the largest with which it accepts an XDP program; 0: any.
    """

    native: Version
    native_commit: str
    zerocopy: Version | None = None
    zerocopy_commit: str = ""
    most_mtu: int = 0


# By the driver's name in ethtool -i. The commits are from the table at docs.ebpf.io, except for
# virtio_net's zero-copy.
SUPPORT: dict[str, Support] = {
    "atlantic": Support((5, 19), "0d14657f4083", most_mtu=2048),
    "bnxt_en": Support((4, 11), "c6d30e8391b8", most_mtu=3502),
    "bonding": Support((5, 15), "9e2ee5c7e7c3"),
    "ena": Support((5, 6), "838c93dc5449", most_mtu=3498),
    "gve": Support((6, 4), "75eaae158b1b", (6, 4), "fd8e40321a12", most_mtu=2032),
    "hv_netvsc": Support((5, 6), "351e1581395f", most_mtu=3506),
    "i40e": Support((4, 13), "0c8493d90b6b", (4, 20), "0a714186d3c0", most_mtu=3046),
    "ice": Support((5, 5), "efc2214b6047", (5, 5), "2d4238f55697", most_mtu=3046),
    "igb": Support((5, 10), "9cbc948b5a20", (6, 14), "80f6ccf9f116", most_mtu=3046),
    "igc": Support((5, 13), "26575105d6ed", (5, 14), "fc9df2a0b520", most_mtu=1500),
    "ixgbe": Support((4, 12), "924708081629", (4, 20), "d0bcacd0a130", most_mtu=3050),
    "ixgbevf": Support((4, 17), "c7aec59657b6", most_mtu=3050),
    "mana": Support((5, 17), "ed5356b53f07", most_mtu=3506),
    "mlx4_en": Support((4, 8), "47a38e155037", most_mtu=3498),
    "mlx5_core": Support((4, 9), "86994156c736", (5, 3), "db05815b36cb", most_mtu=3498),
    "nfp": Support((4, 10), "ecd63a0217d5", (5, 18), "6402528b7a0b", most_mtu=4096),
    "sfc": Support((5, 5), "e45a4fed9d00", most_mtu=3530),
    "st_gmac": Support((5, 13), "5fabb01207a2", (5, 13), "bba2556efad6", most_mtu=1500),
    "tun": Support((4, 14), "761876c857cb", most_mtu=1500),
    "veth": Support((4, 19), "948d4f214fde", most_mtu=3520),
    "virtio_net": Support((4, 10), "f600b6905015", (6, 13), "89f86675cb03", most_mtu=3506),
    "vmxnet3": Support((6, 6), "54f00cce1178", most_mtu=3494),
}


def native_source(driver: str) -> str:
    """URL of the commit that added native XDP to the driver, or nothing."""
    return COMMIT + SUPPORT[driver].native_commit if driver in SUPPORT else ""


def zerocopy_source(driver: str) -> str:
    """URL of the commit that added zero-copy to the driver, or nothing."""
    commit = SUPPORT[driver].zerocopy_commit if driver in SUPPORT else ""
    return COMMIT + commit if commit else ""
