"""Reads the arena of a JSON zone as cext/zone/zone.h and cext/geo/choice.h have it, and says what a
client gets: with none of the code that wrote it, nor of that which answers.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import dns.flags
import dns.message
import dns.name
import dns.rdatatype

from xdpkit.services.dns.geo.classes import Classes, Place, nowhere
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.model import GeoZone

CUT, GEO, CHOICE = 0x02, 0x20, 0x40
NOERROR, NODATA, NXDOMAIN, REFERRAL, TRUNCATED = range(5)
DRAW, IMAGES, VARIANTS = range(3)
ALL = 0xFFFF
A, CNAME, AAAA, DS, ANY = 1, 5, 28, 43, 255

Healthy = Callable[[str], bool]


@dataclass(frozen=True)
class Records:
    """Records of which an answer has some: ``hosts`` of them by weight; 0: all, undrawn."""

    rdtype: int
    ttl: int
    hosts: int
    records: tuple[tuple[bytes, int], ...]


def records(rdtype: int, ttl: int, found: list[tuple[bytes, int]], hosts: int) -> Records:
    """In one form: where a draw makes no difference there is none; all weights 0 are equal ones."""
    weights = {weight for _, weight in found}
    if hosts >= len(found) and len(weights) == 1:
        return Records(rdtype, ttl, 0, tuple(sorted((rdata, 0) for rdata, _ in found)))
    if weights == {0}:
        found = [(rdata, 1) for rdata, _ in found]
    return Records(rdtype, ttl, min(hosts, len(found)), tuple(sorted(found)))


Chances = dict[Records, Fraction]


def compiled(zone: GeoZone, classes: Classes, place: Place = nowhere) -> bytes:
    """The arena of a zone."""
    fd = os.memfd_create("test-zone", os.MFD_CLOEXEC)
    try:
        size = compile_geo(zone, fd, classes=classes, place=place, seed=1)
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


class GeoArena:
    """One arena."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._replies: dict[tuple[int, bytes, int], tuple[int, dns.message.Message]] = {}
        magic, self.version, self.node_count, size = struct.unpack_from("<QIIQ", data)
        assert (magic, size) == (0x616E6F7A74696B78, len(data))
        buckets, self.apex, self.serial, self.names = struct.unpack_from("<4I", data, 40)
        self.geo = struct.unpack_from("<I", data, 80)[0] * 8
        slots = [
            struct.unpack_from("<16I", data, 128 + bucket * 64)[8:] for bucket in range(buckets)
        ]
        offsets = [offset for bucket in slots for offset in bucket if offset]
        self.nodes = {self._node(offset)[0]: offset for offset in offsets}
        assert len(self.nodes) == self.node_count
        if self.geo:
            head = struct.unpack_from("<16s8I", data, self.geo)
            self.view, self.classes, self.draws, draw, self.variants, variant = head[:6]
            self.draw, self.variant = draw * 8, variant * 8
            names = data[head[7] * 8 :].split(b"\0", head[6])[: head[6]]
            self.statuses = [name.decode() for name in names]

    def _node(self, offset: int) -> tuple[bytes, int, int, int, dict[int, tuple[int, int]]]:
        at = offset * 8
        flags, length, count, wildcard, fallback, own = struct.unpack_from("<BBHIII", self.data, at)
        assert own == offset
        entries = [struct.unpack_from("<HHI", self.data, at + 16 + 8 * i) for i in range(count)]
        types = [entry[0] for entry in entries]
        assert types == sorted(set(types)), "binary search needs order"
        name = self.data[at + 16 + 8 * count :][:length]
        by_type = {rdtype: (choice, image) for rdtype, choice, image in entries}
        return name, flags, wildcard, fallback, by_type

    def image(self, offset: int, name: bytes, rdtype: int) -> tuple[int, dns.message.Message]:
        """The kind of an image, and the reply that it makes for a question."""
        key = (offset, name, rdtype)
        if key not in self._replies:
            self._replies[key] = self._reply(offset, name, rdtype)
        return self._replies[key]

    def _reply(self, offset: int, name: bytes, rdtype: int) -> tuple[int, dns.message.Message]:
        at = offset * 8
        bits, rcode = self.data[at : at + 2]
        length, _, _, fixups, base, kind = struct.unpack_from("<4H2B", self.data, at + 8)
        body = bytearray(self.data[at + 24 : at + 24 + length])
        first = at + 24 + length + length % 2
        for place in struct.unpack_from(f"<{fixups}H", self.data, first):
            (word,) = struct.unpack_from("!H", body, place)
            struct.pack_into("!H", body, place, (word + len(name) - base) & 0xFFFF)
        # A choice's is made as for a wildcard below the apex, which is two bytes shorter.
        assert base <= len(name) + 2
        header = b"\0\0" + bytes([bits, rcode]) + b"\0\1" + self.data[at + 2 : at + 8]
        question = name + struct.pack("!HH", rdtype, 1)
        return kind, dns.message.from_wire(header + question + bytes(body))

    def lookup(self, name: bytes, rdtype: int) -> tuple[bool, int]:
        """What a question leads to: whether it is a choice, and its offset."""
        exact = name in self.nodes
        nxdomain, nodata = struct.unpack_from("<2I", self.data, 56)
        at = name
        while at not in self.nodes:
            at = at[at[0] + 1 :]
        _, flags, wildcard, fallback, types = self._node(self.nodes[at])
        assert not (flags & CUT and flags & GEO)
        if flags & CUT and not exact:
            return False, fallback
        if not exact:
            if not wildcard:
                return False, nxdomain
            _, flags, _, fallback, types = self._node(wildcard)
        if rdtype == ANY and types and not flags & (CUT | GEO):
            rdtype = next(iter(types))
        if rdtype in types:
            choice, offset = types[rdtype]
            assert choice == 0 or flags & GEO
            return bool(choice), offset
        if flags & CUT and rdtype == DS:
            return False, nodata
        return bool(flags & CHOICE), fallback

    def chances(
        self, choice: int, number: int, name: bytes, rdtype: int, healthy: Healthy
    ) -> Chances:
        """What a choice has for a class of clients; nothing if it is its fallback."""
        return self._variant(self.variant_of(choice, number), name, rdtype, healthy)

    def variant_of(self, choice: int, number: int) -> int:
        """The variant of a class."""
        at = choice * 8
        _, first, variants = struct.unpack_from("<IIH", self.data, at)
        assert variants and first + variants <= self.variants
        index = 0
        if variants > 1:
            table = struct.unpack_from(f"<{self.classes}H", self.data, at + 16)
            assert set(table) == set(range(variants)), "each is for somebody"
            index = table[number]
        return int(first + index)

    def fallback(self, choice: int) -> int:
        """The image of a choice that yields nothing."""
        return int(struct.unpack_from("<I", self.data, choice * 8)[0])

    def _variant(self, number: int, name: bytes, rdtype: int, healthy: Healthy) -> Chances:
        step, steps = struct.unpack_from("<II", self.data, self.variant + 8 * number)
        for index in range(steps):
            kind, count, at = struct.unpack_from("<3I", self.data, step * 8 + 16 * index)
            if kind == DRAW:
                assert count == 1
                found = self._draw(at, healthy)
            else:
                fields = [
                    struct.unpack_from("<3I", self.data, at * 8 + 16 * i) for i in range(count)
                ]
                if kind == IMAGES:
                    found = self._images(fields, name, rdtype, healthy)
                else:
                    assert all(to < number for _, _, to in fields)
                    found = self._variants(fields, name, rdtype, healthy)
            if found:
                return found
        return {}

    def _alive(self, status: int, healthy: Healthy) -> bool:
        return not status or healthy(self.statuses[status - 1])

    def _draw(self, number: int, healthy: Healthy) -> Chances:
        assert number < self.draws
        count, record, size, ends, weight, status, hosts, rdtype = struct.unpack_from(
            "<6I2H", self.data, self.draw + 32 * number
        )
        end = (
            [size * (i + 1) for i in range(count)]
            if size
            else struct.unpack_from(f"<{count}I", self.data, ends * 8)
        )
        wires = [
            self.data[record * 8 + start : record * 8 + stop]
            for start, stop in zip([0, *end[:-1]], end, strict=True)
        ]
        none = (0,) * count
        weights = struct.unpack_from(f"<{count}I", self.data, weight * 8) if weight else none
        states = struct.unpack_from(f"<{count}I", self.data, status * 8) if status else none
        found, ttls = list[tuple[bytes, int]](), set[int]()
        for wire, each, state in zip(wires, weights, states, strict=True):
            pointer, kind, klass, ttl, length = struct.unpack_from("!HHHIH", wire)
            assert (pointer, kind, klass, length) == (0xC00C, rdtype, 1, len(wire) - 12)
            ttls.add(ttl)
            if self._alive(state, healthy):
                found.append((wire[12:], each))
        if not found:
            return {}
        if hosts == ALL or (rdtype not in (A, AAAA) and not any(each for _, each in found)):
            hosts, found = len(found), [(wire, 0) for wire, _ in found]
        [ttl] = ttls
        return {records(rdtype, ttl, found, hosts): Fraction(1)}

    def _images(
        self, options: list[tuple[int, ...]], name: bytes, rdtype: int, healthy: Healthy
    ) -> Chances:
        found = list[tuple[bytes, int]]()
        ttls, types = set[int](), set[int]()
        for weight, status, to in options:
            kind, reply = self.image(to, name, rdtype)
            assert kind == NOERROR and reply.flags & dns.flags.AA
            [rrset] = reply.answer
            assert rrset.name == dns.name.from_wire(name, 0)[0]
            ttls.add(rrset.ttl)
            types.add(rrset.rdtype)
            if self._alive(status, healthy):
                found += [(rdata.to_wire() or b"", weight) for rdata in rrset]
        [ttl], [kind] = ttls, types
        if not found:
            return {}
        hosts = 1 if len(options) > 1 else len(found)
        assert kind == CNAME or len(options) == 1
        return {records(kind, ttl, found, hosts): Fraction(1)}

    def _variants(
        self, options: list[tuple[int, ...]], name: bytes, rdtype: int, healthy: Healthy
    ) -> Chances:
        found = [
            (weight, chances)
            for weight, _, to in options
            if (chances := self._variant(to, name, rdtype, healthy))
        ]
        weights = [weight for weight, _ in found]
        if not any(weights):
            weights = [1] * len(found)
        merged: Chances = {}
        for weight, (_, chances) in zip(weights, found, strict=True):
            for each, share in chances.items() if weight else ():
                part = share * Fraction(weight, sum(weights))
                merged[each] = merged.get(each, Fraction(0)) + part
        return merged
