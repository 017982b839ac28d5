"""The arena's layout (``cext/zone/zone.h`` documents the fields) and its writer.

The writer streams: nodes go to the file as they are made; the hash table, for which room was left
before them, and forward references are written at the end. So a million names cost the table in
memory, not the arena.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from array import array
from hashlib import blake2b
from typing import NamedTuple

from xdpkit._core import _limits as limits
from xdpkit.services.dns.compiler.body import SECURE_AT, Image
from xdpkit.services.dns.zonefile.zone import CNAME

MAGIC = limits.ZONE_MAGIC
VERSION = limits.ZONE_VERSION
UNIT = limits.ZONE_UNIT
SLACK = limits.ZONE_SLACK
SLOTS = limits.ZONE_SLOTS
FILL = limits.ZONE_FILL

HEADER = struct.Struct("<QIIQQQ9I2B50x")
"""struct zone_arena; its table follows."""
CHECKSUM_AT = limits.ZONE_ARENA_CHECKSUM_AT
NODE = struct.Struct("<2BH3I")
"""struct zone_node: flags, name length, type count, wildcard, fallback, its own offset."""
WILDCARD_AT = limits.ZONE_NODE_WILDCARD_AT
TYPE = struct.Struct("<HxxI")
"""struct zone_type: type, image."""

DENIAL = struct.Struct("<3I4x")
"""struct zone_denial: match, cover, provable."""
PROVABLE_AT = limits.ZONE_DENIAL_PROVABLE_AT
HASHING = struct.Struct("<HBx")
"""struct zone_hashing: iterations, salt length."""

APEX = limits.ZONE_NODE_APEX
CUT = limits.ZONE_NODE_CUT
ALIAS = limits.ZONE_NODE_ALIAS
DNAME = limits.ZONE_NODE_DNAME
UNPROVEN = limits.ZONE_NODE_UNPROVEN

CACHE_LINE = 64
"""Bytes: what struct zone_bucket takes."""

_FACTOR = limits.HASH_FACTOR
_MASK = 0xFFFFFFFFFFFFFFFF


def name_hash(name: bytes, seed: int) -> int:
    """64-bit hash of a lower-cased wire name: must match zone/zone.c's hash_name()."""
    for at in range(0, len(name), 8):
        product = (seed ^ int.from_bytes(name[at : at + 8], "little")) * _FACTOR
        seed = (product ^ (product >> 64)) & _MASK
    return seed


def label_count(name: bytes) -> int:
    """Number of labels of a wire name, the root label not counted."""
    at = count = 0
    while name[at]:
        at += name[at] + 1
        count += 1
    return count


def checksum(data: memoryview | bytearray) -> int:
    """BLAKE2b-64, little-endian, of an arena with the checksum's own field taken as 0."""
    digest = blake2b(data[:CHECKSUM_AT], digest_size=8)
    digest.update(bytes(8))
    with memoryview(data) as view, view[CHECKSUM_AT + 8 :] as rest:
        digest.update(rest)
    return int.from_bytes(digest.digest(), "little")


def _with_secure(image: bytes, secure: int) -> bytes:
    """The image with its field `secure` set."""
    return image[:SECURE_AT] + secure.to_bytes(4, "little") + image[SECURE_AT + 4 :]


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


class Writer:
    """Writes the arena of a zone of ``nodes`` nodes into ``fd``, from byte ``start`` on."""

    def __init__(self, fd: int, nodes: int, start: int = 0, seed: int | None = None) -> None:
        self.seed = secrets.randbits(64) if seed is None else seed
        self._fd, self._start = fd, start
        self._count, self._buckets = nodes, nodes // FILL + 1
        self._flushed = HEADER.size + self._buckets * SLOTS * 8
        self._buffer = bytearray()
        self._hashes, self._nodes = array("Q"), array("I")
        self._labels = 0
        self._apex_labels = 0
        self._patches: list[tuple[int, int]] = []

    @property
    def size(self) -> int:
        """Bytes written so far, the table included."""
        return self._flushed + len(self._buffer)

    def _put(self, data: bytes) -> int:
        """Appends a multiple of UNIT bytes; returns the offset in units."""
        at = self.size
        self._buffer += data
        if len(self._buffer) >= 1 << 22:
            self._flush()
        return at // UNIT

    def _write(self, data: bytes | bytearray, at: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, self._start + at)
            at, view = at + written, view[written:]

    def _flush(self) -> None:
        self._write(self._buffer, self._flushed)
        self._flushed += len(self._buffer)
        self._buffer = bytearray()

    def put(self, data: bytes) -> int:
        """Writes data that several nodes share, padded; returns its offset."""
        return self._put(data + bytes(-len(data) % UNIT))

    def _image(self, image: Image, at: int) -> bytes:
        """An image at the offset ``at``, followed by the one for DO."""
        if image.secure is None:
            return image.plain
        return _with_secure(image.plain, at + len(image.plain) // UNIT) + image.secure

    def add_image(self, image: Image) -> int:
        """Writes an image that several nodes share; returns its offset."""
        return self._put(self._image(image, self.size // UNIT))

    def add_node(
        self,
        name: bytes,
        flags: int,
        images: list[tuple[int | None, Image]],
        fallback: int,
        denial: bytes = b"",
    ) -> int:
        """Writes a node with its images; returns its offset.

        ``images`` is sorted by type; one of type None replaces the image at ``fallback``, as does
        that of the CNAME at an alias. ``denial`` precedes the node.
        """
        self._put(denial)
        start = self.size // UNIT
        types = sum(rdtype is not None for rdtype, _ in images)
        padded = name + bytes(-len(name) % 8)
        at = start + (NODE.size + TYPE.size * types + len(padded)) // UNIT
        index, made = list[bytes](), list[bytes]()
        for rdtype, image in images:
            if rdtype is None or (rdtype == CNAME and flags & ALIAS):
                fallback = at
            if rdtype is not None:
                index.append(TYPE.pack(rdtype, at))
            made.append(self._image(image, at))
            at += len(made[-1]) // UNIT
        head = NODE.pack(flags, len(name), types, 0, fallback, start)
        self._put(b"".join((head, *index, padded, *made)))
        self._hashes.append(name_hash(name, self.seed))
        self._nodes.append(start)
        labels = label_count(name)
        self._labels = max(self._labels, labels)
        if flags & APEX:
            self._apex_labels = labels
        return start

    def set_wildcard(self, node: int, wildcard: int) -> None:
        """Records at a node the offset of the wildcard under it."""
        self._patches.append((node * UNIT + WILDCARD_AT, wildcard))

    def set_provable(self, node: int, provable: int) -> None:
        """Records before a node without NSEC3 the ancestor that has one."""
        self._patches.append((node * UNIT - DENIAL.size + PROVABLE_AT, provable))

    def _table(self) -> array[int]:
        buckets = self._buckets
        table = array("I", bytes(SLOTS * 8 * buckets))
        for hashed, node in zip(self._hashes, self._nodes, strict=True):
            at = ((hashed >> 32) * buckets >> 32) * SLOTS * 2
            while table[at + SLOTS - 1]:
                at = (at + SLOTS * 2) % len(table)
            while table[at]:
                at += 1
            table[at], table[at + SLOTS] = (hashed & 0xFFFFFFFF) | 1, node
        return table

    def finish(self, fields: ZoneFields) -> int:
        """Writes table, header, forward references and checksum; returns the size in bytes."""
        if len(self._nodes) != self._count:
            raise ValueError(f"{len(self._nodes)} nodes written, {self._count} expected")
        self._put(bytes(SLACK))
        size = self.size
        if size > UNIT << 32:
            raise ValueError("the arena is too large for 32-bit offsets")
        values = (self.seed, self._buckets, *fields, self._labels, self._apex_labels)
        front = bytearray(HEADER.pack(MAGIC, VERSION, len(self._nodes), size, 0, *values))
        front += self._table().tobytes()
        if self._flushed == len(front):
            # All in memory, as with most zones: one write.
            whole = front + self._buffer
            for where, value in self._patches:
                struct.pack_into("<I", whole, where, value)
            struct.pack_into("<Q", whole, CHECKSUM_AT, checksum(whole))
            self._write(whole, 0)
            return size
        self._flush()
        self._write(front, 0)
        for where, value in self._patches:
            self._write(value.to_bytes(4, "little"), where)
        self._write(self._digest(size).to_bytes(8, "little"), CHECKSUM_AT)
        return size

    def _digest(self, size: int) -> int:
        before = self._start % mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(
                self._fd,
                before + size,
                access=mmap.ACCESS_READ,
                offset=self._start - before,
            ) as data,
            memoryview(data) as view,
            view[before:] as arena,
        ):
            return checksum(arena)
