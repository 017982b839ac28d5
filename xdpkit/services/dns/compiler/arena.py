"""The arena's layout (``cext/zone/zone.h`` documents the fields) and its writer.

The writer streams: nodes go to the file as they are made, the hash table follows them, and forward
references are patched at the end. So a million names cost the table in memory, not the arena.
"""

from __future__ import annotations

import mmap
import os
import secrets
import struct
from array import array
from hashlib import blake2b

from xdpkit._core import _limits as limits
from xdpkit.services.dns.compiler.body import SECURE_AT, Image

MAGIC = limits.ZONE_MAGIC
VERSION = limits.ZONE_VERSION
UNIT = limits.ZONE_UNIT
SLACK = limits.ZONE_SLACK
SLOTS = limits.ZONE_SLOTS

HEADER = struct.Struct("<QIIQQQ4I2B6x")
"""struct zone_arena."""
CHECKSUM_AT = limits.ZONE_ARENA_CHECKSUM_AT
ENTRY = struct.Struct("<8I")
"""struct zone_entry: apex, serial, names, nxdomain, nodata, chain, links, hashing."""
NODE = struct.Struct("<2BH3I")
"""struct zone_node: flags, name length, type count, zone, wildcard, fallback."""
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

FILL = 5
"""Average names per bucket of 8: 12.8 bytes a name, and 1 in 40 is in a second bucket."""

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


def checksum(data: memoryview | mmap.mmap) -> int:
    """BLAKE2b-64, little-endian, of an arena with the checksum's own field taken as 0."""
    digest = blake2b(data[:CHECKSUM_AT], digest_size=8)
    digest.update(bytes(8))
    with memoryview(data) as view, view[CHECKSUM_AT + 8 :] as rest:
        digest.update(rest)
    return int.from_bytes(digest.digest(), "little")


def _with_secure(image: bytes, secure: int) -> bytes:
    """The image with its field `secure` set."""
    return image[:SECURE_AT] + secure.to_bytes(4, "little") + image[SECURE_AT + 4 :]


class Writer:
    """Writes an arena for ``zones`` zones into an empty file; each zone ends with end_zone()."""

    def __init__(self, fd: int, zones: int, seed: int | None = None) -> None:
        self.seed = secrets.randbits(64) if seed is None else seed
        self._fd, self._zones = fd, zones
        self._buffer, self._flushed = bytearray(HEADER.size + ENTRY.size * zones), 0
        self._entries: list[bytes] = []
        self._hashes, self._nodes = array("Q"), array("I")
        self._labels, self._apexes = 0, 127
        self._patches: list[tuple[int, int]] = []

    def _put(self, data: bytes) -> int:
        """Appends a multiple of UNIT bytes; returns the offset in units."""
        at = self._flushed + len(self._buffer)
        self._buffer += data
        if len(self._buffer) >= 1 << 22:
            self._flush()
        return at // UNIT

    def _flush(self) -> None:
        view = memoryview(self._buffer)
        while view:
            written = os.pwrite(self._fd, view, self._flushed)
            self._flushed += written
            view = view[written:]
        self._buffer = bytearray()

    @property
    def entry(self) -> int:
        """Offset in units of the entry of the zone being written."""
        return (HEADER.size + ENTRY.size * len(self._entries)) // UNIT

    def put(self, data: bytes) -> int:
        """Writes data that several nodes share, padded; returns its offset."""
        return self._put(data + bytes(-len(data) % UNIT))

    def _image(self, image: Image, at: int, proofs: dict[int, int]) -> bytes:
        """An image at the offset ``at``, followed by the one for DO."""
        plain, secure = image.plain, image.secure
        if secure is None:
            return plain
        secure_at = at + len(plain) // UNIT
        plain = _with_secure(plain, secure_at)
        if not image.proofs:
            return plain + secure
        # The proofs that are already in it: C must not add them again.
        known = [proofs[id(proof)] for proof in image.proofs if id(proof) in proofs]
        known_at = secure_at + len(secure) // UNIT
        listed = struct.pack(f"<I{len(known)}I", len(known), *known)
        return plain + _with_secure(secure, known_at) + listed + bytes(-len(listed) % UNIT)

    def add_image(self, image: Image) -> int:
        """Writes an image that several nodes share; returns its offset."""
        return self._put(self._image(image, (self._flushed + len(self._buffer)) // UNIT, {}))

    def add_node(
        self,
        name: bytes,
        flags: int,
        images: list[tuple[int | None, Image]],
        fallback: int,
        denial: bytes = b"",
        proofs: dict[int, int] | None = None,
    ) -> int:
        """Writes a node with its images; returns its offset.

        ``images`` is sorted by type; one of type None replaces the image at ``fallback``.
        ``denial`` precedes the node, and ``proofs`` maps the id() of each of the zone's proofs to
        its offset.
        """
        self._put(denial)
        start = (self._flushed + len(self._buffer)) // UNIT
        types = sum(rdtype is not None for rdtype, _ in images)
        padded = name + bytes(-len(name) % 8)
        at = start + (NODE.size + TYPE.size * types + len(padded)) // UNIT
        index, made = b"", []
        for rdtype, image in images:
            if rdtype is None:
                fallback = at
            else:
                index += TYPE.pack(rdtype, at)
            made.append(self._image(image, at, proofs or {}))
            at += len(made[-1]) // UNIT
        head = NODE.pack(flags, len(name), types, self.entry, 0, fallback)
        self._put(b"".join((head, index, padded, *made)))
        self._hashes.append(name_hash(name, self.seed))
        self._nodes.append(start)
        self._labels = max(self._labels, label_count(name))
        if flags & APEX:
            self._apexes = min(self._apexes, label_count(name))
        return start

    def set_wildcard(self, node: int, wildcard: int) -> None:
        """Records at a node the offset of the wildcard under it."""
        self._patches.append((node * UNIT + WILDCARD_AT, wildcard))

    def set_provable(self, node: int, provable: int) -> None:
        """Records before a node without NSEC3 the ancestor that has one."""
        self._patches.append((node * UNIT - DENIAL.size + PROVABLE_AT, provable))

    def end_zone(self, *fields: int) -> None:
        """Ends the zone with ENTRY's fields; further nodes belong to the next zone."""
        self._entries.append(ENTRY.pack(*fields))

    def _table(self) -> tuple[array[int], int]:
        buckets = len(self._nodes) // FILL + 1
        table = array("I", bytes(SLOTS * 8 * buckets))
        for hashed, node in zip(self._hashes, self._nodes, strict=True):
            at = ((hashed >> 32) * buckets >> 32) * SLOTS * 2
            while table[at + SLOTS - 1]:
                at = (at + SLOTS * 2) % len(table)
            while table[at]:
                at += 1
            table[at], table[at + SLOTS] = (hashed & 0xFFFFFFFF) | 1, node
        return table, buckets

    def finish(self) -> int:
        """Writes the table, forward references and checksum; returns the size in bytes."""
        if len(self._entries) != self._zones:
            raise ValueError(f"{len(self._entries)} zones written, {self._zones} expected")
        self._put(bytes(-(self._flushed + len(self._buffer)) % 64))
        table, buckets = self._table()
        at = self._put(table.tobytes())
        self._put(bytes(SLACK))
        self._flush()
        if self._flushed > UNIT << 32:
            raise ValueError("the arena is too large for 32-bit offsets")
        for where, value in self._patches:
            os.pwrite(self._fd, value.to_bytes(4, "little"), where)
        os.pwrite(self._fd, b"".join(self._entries), HEADER.size)
        labels = (self._labels, min(self._apexes, self._labels))
        fields = (self.seed, at, buckets, HEADER.size // UNIT, self._zones, *labels)
        head = (MAGIC, VERSION, len(self._nodes), self._flushed)
        os.pwrite(self._fd, HEADER.pack(*head, 0, *fields), 0)
        with mmap.mmap(self._fd, self._flushed, access=mmap.ACCESS_READ) as data:
            total = checksum(data)
        os.pwrite(self._fd, HEADER.pack(*head, total, *fields), 0)
        return self._flushed
