"""Reads an arena in Python: for ``xdpkit query``, the store and the tests, never for answers."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from xdpkit.dns.arena import (
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
from xdpkit.dns.images import IMAGE, Kind


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the arena has it; ``images`` maps types to (kind, body length, fixups)."""

    name: bytes
    flags: int
    zone: int
    wildcard: int
    images: dict[int, tuple[Kind, int, int]]


class View:
    """An arena that is mapped or in memory."""

    def __init__(self, data: mmap.mmap | bytes) -> None:
        """Raises ValueError if the data is no arena of this version, or damaged."""
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
            apex, serial, _, names = ENTRY.unpack_from(
                self._data, self._entries + index * ENTRY.size
            )
            yield self.node(apex).name, serial, names

    def zone_of(self, node: NodeView) -> bytes:
        """The name of the zone that a node belongs to."""
        return self.node(ENTRY.unpack_from(self._data, node.zone * UNIT)[0]).name

    def node(self, offset: int) -> NodeView:
        """The node at an offset in units."""
        at = offset * UNIT
        flags, length, count, zone, wildcard, _ = NODE.unpack_from(self._data, at)
        at += NODE.size
        images = {}
        for _ in range(count):
            rdtype, image = TYPE.unpack_from(self._data, at)
            fields = IMAGE.unpack_from(self._data, image * UNIT)
            images[rdtype] = (Kind(fields[6]), fields[3], fields[4])
            at += TYPE.size
        return NodeView(bytes(self._data[at : at + length]), flags, zone, wildcard, images)

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
