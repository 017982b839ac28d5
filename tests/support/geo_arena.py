"""Arenas with choices, put together struct by struct as ``cext/geo/choice.h`` has them.

A master file's arena is the base; the choices are put behind it, and the types of its nodes are
pointed to them.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.compiler.arena import (
    CHECKSUM_AT,
    CHOICE,
    GEO,
    HEADER,
    NODE,
    SLACK,
    TYPE,
    TYPE_CHOICE,
    UNIT,
    checksum,
)
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone

A, CNAME, MX, TXT, AAAA = 1, 5, 15, 16, 28
ALL = 0xFFFF
GEO_AT = 80
"""Of the header."""

MASTER = """$TTL 300
@ SOA a b 1 2 3 4 5
@ NS a
@ TXT "t"
w A 192.0.2.1
"""

_DRAW_KIND, _IMAGES, _VARIANTS = range(3)


@dataclass(frozen=True)
class Draw:
    """struct geo_draw; a record's status is 0 or 1 + its index."""

    rdata: Sequence[bytes]
    weights: Sequence[int] | None = None
    statuses: Sequence[int] | None = None
    hosts: int = 2
    rdtype: int = A
    ttl: int = 60
    any_size: bool = False


@dataclass(frozen=True)
class Option:
    """struct geo_option."""

    to: int
    weight: int = 0
    status: int = 0


@dataclass(frozen=True)
class Images:
    """A step of images: offsets."""

    options: Sequence[Option]


@dataclass(frozen=True)
class Variants:
    """A step of other variants: indexes."""

    options: Sequence[Option]


Step = Draw | Images | Variants
"""The same draw in several steps is one."""


@dataclass
class GeoArena:
    """What is put into an arena."""

    variants: Sequence[Sequence[Step]] = ()
    statuses: Sequence[str] = ()
    classes: int = 0
    variant_of: Sequence[int] = ()
    """For a choice of all variants that `w A` gets; empty: it gets one of the last variant."""
    choice_fallback: bool = False
    """Whether all other types of that name get it, too."""
    data: bytearray = field(default_factory=bytearray)

    def build(self) -> bytes:
        """The arena's bytes."""
        self.data = bytearray(_compiled()[:-SLACK])
        draws: dict[int, Draw] = {
            id(step): step for steps in self.variants for step in steps if isinstance(step, Draw)
        }
        index = {key: at for at, key in enumerate(draws)}
        packed = b"".join([self._draw(draw) for draw in draws.values()])
        draw_at = self._put(packed)
        variants = b"".join([self._variant(steps, index) for steps in self.variants])
        variant_at = self._put(variants)
        status_at = self._put("".join(f"{name}\0" for name in self.statuses).encode())
        numbers = (self.classes, len(draws), draw_at, len(self.variants), variant_at)
        geo_at = self._put(
            struct.pack("<16s8I", b"view", *numbers, len(self.statuses), status_at, 0)
        )
        struct.pack_into("<I", self.data, GEO_AT, geo_at)
        if self.variants:
            self._choose()
        return sealed(self.data + bytes(SLACK))

    def arena(self) -> ZoneArena:
        """The arena, checked."""
        return ZoneArena(self.build())

    def _put(self, data: bytes) -> int:
        """The offset of data behind what there is, in units."""
        at = len(self.data)
        self.data += data + bytes(-len(data) % UNIT)
        return at // UNIT if data else 0

    def _words(self, words: Sequence[int] | None) -> int:
        return self._put(struct.pack(f"<{len(words)}I", *words)) if words is not None else 0

    def _draw(self, draw: Draw) -> bytes:
        records = [
            struct.pack("!3HIH", 0xC00C, draw.rdtype, 1, draw.ttl, len(rdata)) + rdata
            for rdata in draw.rdata
        ]
        ends = list(accumulate(map(len, records)))
        ends_at = self._words(ends) if draw.any_size else 0
        size = 0 if draw.any_size else len(records[0])
        return struct.pack(
            "<6I2HI",
            *(len(records), self._put(b"".join(records)), size, ends_at),
            *(self._words(draw.weights), self._words(draw.statuses), draw.hosts, draw.rdtype, 0),
        )

    def _variant(self, steps: Sequence[Step], index: dict[int, int]) -> bytes:
        packed = b""
        for step in steps:
            if isinstance(step, Draw):
                packed += struct.pack("<4I", _DRAW_KIND, 1, index[id(step)], 0)
                continue
            kind = _IMAGES if isinstance(step, Images) else _VARIANTS
            options = [struct.pack("<4I", o.weight, o.status, o.to, 0) for o in step.options]
            packed += struct.pack("<4I", kind, len(options), self._put(b"".join(options)), 0)
        return struct.pack("<2I", self._put(packed), len(steps))

    def _choose(self) -> None:
        """Makes the choice that of `w A`."""
        fallback = HEADER.unpack_from(self.data)[11]
        first, count = len(self.variants) - 1, 1
        if self.variant_of:
            first, count = 0, len(self.variants)
        choice = struct.pack("<2I4H", fallback, first, count, 0, 0, 0)
        at = self._put(choice + struct.pack(f"<{len(self.variant_of)}H", *self.variant_of))
        node = _node_at(self.data, b"\1w\1z\0") * UNIT
        flags = GEO | (CHOICE if self.choice_fallback else 0)
        fields = list(NODE.unpack_from(self.data, node))
        fields[0] |= flags
        if self.choice_fallback:
            fields[4] = at
        NODE.pack_into(self.data, node, *fields)
        TYPE.pack_into(self.data, node + NODE.size, A, TYPE_CHOICE, at)


def apex_images() -> list[int]:
    """The offsets of the images of the apex, which any name may have."""
    data = _compiled()
    node = _node_at(data, b"\1z\0") * UNIT
    count = NODE.unpack_from(data, node)[2]
    types = data[node + NODE.size : node + NODE.size + count * TYPE.size]
    return [image for _, _, image in TYPE.iter_unpack(types)]


def _node_at(data: bytes | bytearray, name: bytes) -> int:
    """The offset of the node of a name, in units: where it says that it is."""
    padded = name + bytes(-len(name) % UNIT)
    at = data.index(padded)
    while True:
        for types in range(5):
            start = at - NODE.size - types * TYPE.size
            fields = NODE.unpack_from(data, start)
            if fields[1:3] == (len(name), types) and fields[5] * UNIT == start:
                return fields[5]
        at = data.index(padded, at + 1)


def _compiled() -> bytes:
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as out:
        path = Path(directory, "z.zone")
        path.write_text(MASTER)
        size = compile_zone(read_zone(path), out.fileno(), seed=1)
        return os.pread(out.fileno(), size, 0)


def sealed(data: bytearray) -> bytes:
    """An arena whose bytes were changed, with its size and checksum."""
    struct.pack_into("<Q", data, 16, len(data))
    struct.pack_into("<Q", data, CHECKSUM_AT, checksum(data))
    return bytes(data)
