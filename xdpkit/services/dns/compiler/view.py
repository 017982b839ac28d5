"""Reads an arena in Python: for ``xdpkit query``, the store and the tests, never for answering."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from xdpkit.services.dns.compiler.arena import (
    ENTRY,
    HEADER,
    MAGIC,
    NODE,
    SLACK,
    SLOTS,
    TYPE,
    UNIT,
    VERSION,
    checksum,
    name_hash,
)
from xdpkit.services.dns.compiler.body import IMAGE, Kind
from xdpkit.services.dns.zonefile.zone import parent


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image in the arena: bytes after the question in full, without optional records and without
    the additional section; ``secure`` is the image for DO."""

    kind: Kind
    full: int
    trimmed: int
    authority: int
    fixups: int
    secure: ImageView | None

    @property
    def least(self) -> int:
        """Bytes that go with TC if nothing larger fits."""
        return self.authority if self.authority < self.trimmed else 0


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node in the arena."""

    name: bytes
    flags: int
    zone: int
    wildcard: int
    images: dict[int, ImageView]
    fallback: ImageView


class ArenaView:
    """An arena, mapped or in memory."""

    def __init__(self, data: mmap.mmap | memoryview | bytes) -> None:
        """Raises ValueError if the data is not an arena of this version, or damaged."""
        self._data = data
        if len(data) < HEADER.size + SLACK:
            raise ValueError("too short for an arena")
        header = HEADER.unpack_from(data)
        magic, version, self.names, self.size, total, self.seed, table, self.buckets = header[:8]
        self._table, self._entries, self.zone_count = table * UNIT, header[8] * UNIT, header[9]
        self.max_labels, self.min_labels = header[10:12]
        if magic != MAGIC or version != VERSION or self.size != len(data):
            raise ValueError("not an arena of this version")
        with memoryview(data) as view:
            if checksum(view) != total:
                raise ValueError("the arena's checksum is wrong")

    def zones(self) -> Iterator[tuple[bytes, int, int]]:
        """(name, serial, owner names) of each zone."""
        for index in range(self.zone_count):
            apex, serial, names, *_ = ENTRY.unpack_from(
                self._data, self._entries + index * ENTRY.size
            )
            yield self.node(apex).name, serial, names

    def zone_of(self, node: NodeView) -> bytes:
        """The name of the zone that a node belongs to."""
        return self.node(ENTRY.unpack_from(self._data, node.zone * UNIT)[0]).name

    def negative(self, node: NodeView, nxdomain: bool) -> ImageView:
        """The NODATA image of a node's zone, or with ``nxdomain`` its NXDOMAIN image."""
        fields = ENTRY.unpack_from(self._data, node.zone * UNIT)
        return self._image(fields[3] if nxdomain else fields[4])

    def _image(self, offset: int, secured: bool = False) -> ImageView:
        fields = IMAGE.unpack_from(self._data, offset * UNIT)
        secure = self._image(fields[10], True) if fields[10] and not secured else None
        full, trimmed, authority, fixups = fields[3:7]
        return ImageView(Kind(fields[8]), full, trimmed, authority, fixups, secure)

    def node(self, offset: int) -> NodeView:
        """The node at an offset in units."""
        at = offset * UNIT
        flags, length, count, zone, wildcard, fallback = NODE.unpack_from(self._data, at)
        at += NODE.size
        images = {}
        for _ in range(count):
            rdtype, image = TYPE.unpack_from(self._data, at)
            images[rdtype] = self._image(image)
            at += TYPE.size
        name = bytes(self._data[at : at + length])
        return NodeView(name, flags, zone, wildcard, images, self._image(fallback))

    def closest(self, name: bytes) -> NodeView | None:
        """The node of this lower-cased name, or of its closest ancestor."""
        while name:
            node = self.find(name)
            if node is not None:
                return node
            name = parent(name)
        return None

    def find(self, name: bytes) -> NodeView | None:
        """The node of exactly this lower-cased name."""
        hashed = name_hash(name, self.seed)
        bucket = (hashed >> 32) * self.buckets >> 32
        while True:
            at = self._table + bucket * SLOTS * 8
            slots = struct.unpack_from(f"<{SLOTS * 2}I", self._data, at)
            for tag, offset in zip(slots[:SLOTS], slots[SLOTS:], strict=True):
                if tag == (hashed & 0xFFFFFFFF) | 1:
                    node = self.node(offset)
                    if node.name == name:
                        return node
            if not slots[SLOTS - 1]:
                return None
            bucket = (bucket + 1) % self.buckets
