"""An interface's offloads by the kernel's feature names: ``ethtool -k`` and ``-K``.

Raises OSError as ``ethtool.py`` does. The names are those of net/ethtool/common.c
(netdev_features_strings), which ``ethtool -K`` accepts besides its own, older ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xdpkit.nic.os import ethtool, ethtool_netlink
from xdpkit.nic.os.ethtool_netlink import explained

# linux/ethtool.h.
ETHTOOL_GSTRINGS = 0x1B
ETHTOOL_GSSET_INFO = 0x37
ETHTOOL_GFEATURES = 0x3A
ETHTOOL_SFEATURES = 0x3B
ETH_SS_FEATURES = 4
_NAME_BYTES = 32

# struct ethtool_sset_info with one length in it: cmd, reserved, sset_mask, data[0].
_SET_INFO = struct.Struct("=IIQI")
# struct ethtool_gstrings without its data: cmd, string_set, len.
_STRINGS = struct.Struct("=III")
# struct ethtool_gfeatures and ethtool_sfeatures without their blocks: cmd, number of blocks.
_HEAD = struct.Struct("=II")
# struct ethtool_get_features_block: 32 bits each; feature 0 is the lowest bit of the first block.
_GET_BLOCK = struct.Struct("=IIII")
# struct ethtool_set_features_block: which to change, and to what.
_SET_BLOCK = struct.Struct("=II")


@dataclass(frozen=True)
class Feature:
    """Whether an offload is on, and whether that can be changed."""

    on: bool
    changeable: bool


def features(ifname: str) -> dict[str, Feature]:
    """Every feature this kernel knows, by name."""
    names = _names(ifname)
    count = _blocks(names)
    blank = bytes(_GET_BLOCK.size * count)
    answer = ethtool.command(ifname, _HEAD.pack(ETHTOOL_GFEATURES, count) + blank)
    blocks = list(_GET_BLOCK.iter_unpack(answer[_HEAD.size :]))
    found = {}
    for bit, name in enumerate(names):
        available, _, active, never_changed = blocks[bit // 32]
        mask = 1 << bit % 32
        found[name] = Feature(bool(active & mask), bool(available & ~never_changed & mask))
    return found


def set_feature(ifname: str, name: str, on: bool) -> None:
    """Turns one feature on or off. The kernel may silently do otherwise: read it back.

    Raises OSError, and KeyError for a name that this kernel does not have.
    """
    names = _names(ifname)
    if name not in names:
        raise KeyError(name)
    blocks = bytearray(_SET_BLOCK.size * _blocks(names))
    bit = names.index(name)
    mask = 1 << bit % 32
    _SET_BLOCK.pack_into(blocks, bit // 32 * _SET_BLOCK.size, mask, mask if on else 0)
    with explained(lambda: ethtool_netlink.set_feature(ifname, name, on)):
        ethtool.command(ifname, _HEAD.pack(ETHTOOL_SFEATURES, _blocks(names)) + blocks)


def _names(ifname: str) -> list[str]:
    """In the order of their bits."""
    request = _SET_INFO.pack(ETHTOOL_GSSET_INFO, 0, 1 << ETH_SS_FEATURES, 0)
    count: int = _SET_INFO.unpack(ethtool.command(ifname, request))[3]
    head = _STRINGS.pack(ETHTOOL_GSTRINGS, ETH_SS_FEATURES, count)
    raw = ethtool.command(ifname, head + bytes(_NAME_BYTES * count))[_STRINGS.size :]
    texts = (raw[at : at + _NAME_BYTES] for at in range(0, len(raw), _NAME_BYTES))
    return [text.split(b"\0")[0].decode() for text in texts]


def _blocks(names: list[str]) -> int:
    return (len(names) + 31) // 32
