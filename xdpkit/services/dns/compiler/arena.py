"""The arena's layout, which ``cext/zone/zone.h`` documents, for what reads one in Python."""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from xdpkit._core import _limits as limits

MAGIC = limits.ZONE_MAGIC
VERSION = limits.ZONE_VERSION
UNIT = limits.ZONE_UNIT
SLACK = limits.ZONE_SLACK
SLOTS = limits.ZONE_SLOTS
FILL = limits.ZONE_FILL

HEADER = struct.Struct("<QIIQQQ9I2B2xI44x")
"""struct zone_arena; its table follows."""
CHECKSUM_AT = limits.ZONE_ARENA_CHECKSUM_AT
NODE = struct.Struct("<2BH3I")
"""struct zone_node: flags, name length, type count, wildcard, fallback, its own offset."""
TYPE = struct.Struct("<HHI")
"""struct zone_type: type, flags, image."""

IMAGE = struct.Struct("<2B6s4H2BHI")
"""struct zone_image: header byte 2, rcode, counts, length, trimmed, authority, fixups, base, kind,
glue, secure."""

CUT = limits.ZONE_NODE_CUT
ALIAS = limits.ZONE_NODE_ALIAS
DNAME = limits.ZONE_NODE_DNAME
GEO = limits.ZONE_NODE_GEO
CHOICE = limits.ZONE_NODE_CHOICE
TYPE_CHOICE = limits.ZONE_TYPE_CHOICE

CACHE_LINE = 64
"""Bytes: what struct zone_bucket takes."""

_FACTOR = limits.HASH_FACTOR
_MASK = 0xFFFFFFFFFFFFFFFF
_BLOCK = struct.Struct("<4Q")


class Kind(IntEnum):
    """enum zone_kind."""

    NOERROR = limits.ZONE_KIND_NOERROR
    NODATA = limits.ZONE_KIND_NODATA
    NXDOMAIN = limits.ZONE_KIND_NXDOMAIN
    REFERRAL = limits.ZONE_KIND_REFERRAL
    TRUNCATED = limits.ZONE_KIND_TRUNCATED


def _fold(number: int) -> int:
    """hash_fold() of base/hash.h, by the factor."""
    product = number * _FACTOR
    return (product ^ (product >> 64)) & _MASK


def name_hash(name: bytes, seed: int) -> int:
    """64-bit hash of a lower-cased wire name: must match zone/zone.c's hash_name()."""
    for at in range(0, len(name), 8):
        seed = _fold(seed ^ int.from_bytes(name[at : at + 8], "little"))
    return seed


def checksum(data: bytes | bytearray | memoryview) -> int:
    """cext/zone/checksum.c, of an arena with the checksum's own field taken as 0."""
    whole = bytearray(data) + bytes(-len(data) % _BLOCK.size)
    whole[CHECKSUM_AT : CHECKSUM_AT + 8] = bytes(8)
    lanes = [1, 2, 3, 4]
    for words in _BLOCK.iter_unpack(whole):
        lanes = [_fold(lane ^ word) for lane, word in zip(lanes, words, strict=True)]
    total = 0
    for lane in lanes:
        total = _fold(total ^ lane)
    return total


def has_choices(data: memoryview) -> bool:
    """Whether an arena's answers are chosen: struct zone_arena's ``geo`` is not 0."""
    return bool(HEADER.unpack_from(data)[-1])


def next_start(end: int) -> int:
    """The first offset from ``end`` on where an arena may begin: its table's buckets are lines."""
    return -(-end // CACHE_LINE) * CACHE_LINE


class ZoneFields(NamedTuple):
    """What struct zone_arena says about the zone; offsets in units."""

    apex: int
    serial: int
    names: int
    nxdomain: int
    nodata: int
    chain: int
    links: int
    hashing: int
