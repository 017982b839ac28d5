"""The arena's layout, which ``cext/zone/zone.h`` documents, for what reads one in Python."""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import blake2b
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


class Kind(IntEnum):
    """enum zone_kind."""

    NOERROR = limits.ZONE_KIND_NOERROR
    NODATA = limits.ZONE_KIND_NODATA
    NXDOMAIN = limits.ZONE_KIND_NXDOMAIN
    REFERRAL = limits.ZONE_KIND_REFERRAL
    TRUNCATED = limits.ZONE_KIND_TRUNCATED


def name_hash(name: bytes, seed: int) -> int:
    """64-bit hash of a lower-cased wire name: must match zone/zone.c's hash_name()."""
    for at in range(0, len(name), 8):
        product = (seed ^ int.from_bytes(name[at : at + 8], "little")) * _FACTOR
        seed = (product ^ (product >> 64)) & _MASK
    return seed


def checksum(data: memoryview | bytearray) -> int:
    """BLAKE2b-64, little-endian, of an arena with the checksum's own field taken as 0."""
    digest = blake2b(data[:CHECKSUM_AT], digest_size=8)
    digest.update(bytes(8))
    with memoryview(data) as view, view[CHECKSUM_AT + 8 :] as rest:
        digest.update(rest)
    return int.from_bytes(digest.digest(), "little")


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
