"""Reads an arena in Python: for ``xdpkit query``, the store and the tests, never for answering."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from xdpkit.services.dns.compiler.arena import (
    CHOICE,
    HEADER,
    IMAGE,
    MAGIC,
    NODE,
    SLACK,
    SLOTS,
    TYPE,
    UNIT,
    VERSION,
    Kind,
    ZoneFields,
    name_hash,
)


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
    wildcard: int
    images: dict[int, ImageView]
    fallback: ImageView


class ArenaView:
    """The arena of a zone."""

    def __init__(self, data: memoryview | bytes) -> None:
        """Raises ValueError if the data is not an arena of this version."""
        self._data = data
        if len(data) < HEADER.size + SLACK:
            raise ValueError("too short for an arena")
        header = HEADER.unpack_from(data)
        magic, version, self.nodes, self.size, _, self.seed, self.buckets = header[:7]
        if magic != MAGIC or version != VERSION or self.size != len(data):
            raise ValueError("not an arena of this version")
        self.fields = ZoneFields(*header[7:15])

    @property
    def name(self) -> bytes:
        """The zone's name."""
        return self.node(self.fields.apex).name

    def negative(self, nxdomain: bool) -> ImageView:
        """The zone's NODATA image, or with ``nxdomain`` its NXDOMAIN image."""
        return self._image(self.fields.nxdomain if nxdomain else self.fields.nodata)

    def _image(self, offset: int, secured: bool = False) -> ImageView:
        fields = IMAGE.unpack_from(self._data, offset * UNIT)
        secure = self._image(fields[10], True) if fields[10] and not secured else None
        full, trimmed, authority, fixups = fields[3:7]
        return ImageView(Kind(fields[8]), full, trimmed, authority, fixups, secure)

    def _entry(self, offset: int, choice: bool) -> ImageView:
        """An image, or that of a choice when it yields nothing."""
        if choice:
            (offset,) = struct.unpack_from("<I", self._data, offset * UNIT)
        return self._image(offset)

    def node(self, offset: int) -> NodeView:
        """The node at an offset in units."""
        at = offset * UNIT
        flags, length, count, wildcard, fallback, _ = NODE.unpack_from(self._data, at)
        at += NODE.size
        images = {}
        for _ in range(count):
            rdtype, choice, image = TYPE.unpack_from(self._data, at)
            images[rdtype] = self._entry(image, bool(choice))
            at += TYPE.size
        name = bytes(self._data[at : at + length])
        fallback_image = self._entry(fallback, bool(flags & CHOICE))
        return NodeView(name, flags, wildcard, images, fallback_image)

    def find(self, name: bytes) -> NodeView | None:
        """The node of exactly this lower-cased name."""
        hashed = name_hash(name, self.seed)
        bucket = (hashed >> 32) * self.buckets >> 32
        while True:
            at = HEADER.size + bucket * SLOTS * 8
            slots = struct.unpack_from(f"<{SLOTS * 2}I", self._data, at)
            for tag, offset in zip(slots[:SLOTS], slots[SLOTS:], strict=True):
                if tag == (hashed & 0xFFFFFFFF) | 1:
                    node = self.node(offset)
                    if node.name == name:
                        return node
            if not slots[SLOTS - 1]:
                return None
            bucket = (bucket + 1) % self.buckets
