"""Receive side scaling: which queue a packet's hash selects: ``ethtool -x`` and ``-X``.

Raises OSError as ``ethtool.py`` does. The table is read and written by ETHTOOL_GRSSH and SRSSH: the
older GRXFHINDIR is broken in some drivers (ice).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from xdpkit.nic.os import ethtool

# linux/ethtool.h.
ETHTOOL_GRXFH = 0x29
ETHTOOL_GRXRINGS = 0x2D
ETHTOOL_GRSSH = 0x46
ETHTOOL_SRSSH = 0x47

# struct ethtool_rxfh without rss_config[], which is the table (u32 each) and then the key: cmd,
# rss_context, indir_size, key_size, hfunc, input_xfrm (Linux 6.8; must be 0 before), reserved.
# A size of 0 resets the table to the driver's default, and leaves the key alone.
_RXFH = struct.Struct("=IIIIBB6x")
# The start of struct ethtool_rxnfc, all that these two commands use: cmd, flow_type, data.
_RXNFC = struct.Struct("=IIQ")

# Flow types whose hash can be queried, and the RXH_ bits of what goes into it.
UDP_V4_FLOW, UDP_V6_FLOW = 0x02, 0x06
RXH_IP_SRC, RXH_IP_DST, RXH_L4_B_0_1, RXH_L4_B_2_3 = 1 << 4, 1 << 5, 1 << 6, 1 << 7


@dataclass(frozen=True)
class Rss:
    """The indirection table (a queue in each slot), the hash key and the hash function's bit."""

    table: tuple[int, ...]
    key: bytes
    function: int
    transform: int = 0


def read(ifname: str) -> Rss:
    """The current table and key."""
    sizes = _RXFH.unpack(ethtool.command(ifname, _RXFH.pack(ETHTOOL_GRSSH, 0, 0, 0, 0, 0)))
    slots, key_bytes = sizes[2], sizes[3]
    request = _RXFH.pack(ETHTOOL_GRSSH, 0, slots, key_bytes, 0, 0) + bytes(4 * slots + key_bytes)
    answer = ethtool.command(ifname, request)
    *_, function, transform = _RXFH.unpack_from(answer)
    table = struct.unpack_from(f"={slots}I", answer, _RXFH.size)
    key = answer[_RXFH.size + 4 * slots :][:key_bytes]
    return Rss(table, key, function, transform)


def write(ifname: str, table: Sequence[int], transform: int) -> None:
    """Sets the table, of the size that ``read`` returned; an empty one is the driver's default.

    ``transform`` is what ``read`` returned: 0 would turn a symmetric hash off.
    """
    head = _RXFH.pack(ETHTOOL_SRSSH, 0, len(table), 0, 0, transform)
    ethtool.command(ifname, head + struct.pack(f"={len(table)}I", *table))


def queues(ifname: str) -> int:
    """How many RX queues the table can point to."""
    answer = ethtool.command(ifname, _RXNFC.pack(ETHTOOL_GRXRINGS, 0, 0) + bytes(176))
    count: int = _RXNFC.unpack_from(answer)[2]
    return count


def hash_fields(ifname: str, flow: int) -> int:
    """RXH_ bits of what a flow type's hash covers: ``ethtool -n IFNAME rx-flow-hash``."""
    answer = ethtool.command(ifname, _RXNFC.pack(ETHTOOL_GRXFH, flow, 0) + bytes(176))
    fields: int = _RXNFC.unpack_from(answer)[2]
    return fields


def weighted_table(weights: Sequence[int], slots: int) -> list[int]:
    """The table that ``ethtool -X IFNAME weight ...`` writes: runs of slots, in order of queue."""
    table = []
    queue, upto, total = -1, 0, sum(weights)
    for slot in range(slots):
        while slot >= slots * upto // total:
            queue += 1
            upto += weights[queue]
        table.append(queue)
    return table
