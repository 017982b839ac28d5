"""Where every address is: ranges in order, each with its location, as few as there can be.

Arrays, because a database has millions of networks. IPv6 is told apart to /64.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Generic, TypeVar

from xdpkit.services.dns.geo.targets import Location

# Bits of an address that tell ranges apart, by IP version.
BITS = {4: 32, 6: 64}

Value = TypeVar("Value")

Prefix = IPv4Network | IPv6Network


def address_number(address: IPv4Address | IPv6Address) -> int:
    """The bits of an address that ranges are told apart by."""
    return int(address) >> (address.max_prefixlen - BITS[address.version])


@dataclass(slots=True)
class Ranges:
    """The ranges of one IP version: each from its start to the next one's, the first from 0."""

    starts: array[int]
    indexes: array[int]
    """Of the values of the table."""

    @classmethod
    def empty(cls, version: int) -> Ranges:
        """Nowhere, whatever the address."""
        return cls(array("I" if version == 4 else "Q", [0]), array("I", [0]))

    def append(self, start: int, index: int) -> None:
        """Adds what begins at ``start``, above all before; nothing if it is as before."""
        if self.starts[-1] == start:
            self.indexes[-1] = index
            if len(self.indexes) > 1 and self.indexes[-2] == index:
                self.starts.pop()
                self.indexes.pop()
        elif self.indexes[-1] != index:
            self.starts.append(start)
            self.indexes.append(index)


class RangeTable(Generic[Value]):
    """The ranges of both IP versions, and what they have: ``values``, of which 0 is ``nothing``."""

    def __init__(self, nothing: Value) -> None:
        self.values = [nothing]
        self.ipv4, self.ipv6 = Ranges.empty(4), Ranges.empty(6)
        self._known = {nothing: 0}

    def ranges(self, version: int) -> Ranges:
        """Of an IP version."""
        return self.ipv4 if version == 4 else self.ipv6

    def index(self, value: Value) -> int:
        """The index of a value, which is added if it is new."""
        found = self._known.setdefault(value, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found

    def lookup(self, address: IPv4Address | IPv6Address) -> Value:
        """What an address has."""
        found = self.ranges(address.version)
        at = bisect_right(found.starts, address_number(address)) - 1
        return self.values[found.indexes[at]]


LocationTable = RangeTable[Location]


def table_of_prefixes(
    prefixes: Sequence[tuple[Prefix, Value]], nothing: Value
) -> RangeTable[Value]:
    """The table of prefixes that may hold each other: the longest that has an address counts."""
    table = RangeTable(nothing)
    for version in (4, 6):
        ranges, bits = table.ranges(version), BITS[version]
        mine = [(p, where) for p, where in prefixes if p.version == version]
        # Of two with the same start the shorter comes first: it holds the other.
        mine.sort(key=lambda each: (int(each[0].network_address), each[0].prefixlen))
        # Those that hold where we are: the end of each, and its index.
        held: list[tuple[int, int]] = [(1 << bits, 0)]
        for prefix, where in mine:
            start = address_number(prefix.network_address)
            _leave(ranges, held, start)
            index = table.index(where)
            held.append((start + (1 << max(bits - prefix.prefixlen, 0)), index))
            ranges.append(start, index)
        _leave(ranges, held, 1 << bits)
    return table


def _leave(ranges: Ranges, held: list[tuple[int, int]], start: int) -> None:
    """Ends the prefixes that end before or at ``start``."""
    while len(held) > 1 and held[-1][0] <= start:
        end, _ = held.pop()
        if end < held[0][0]:
            ranges.append(end, held[-1][1])


def overlaid(tables: Sequence[Location]) -> Location:
    """What an operator says of an address, and a database where the operator says nothing.

    Country and region go together.
    """
    own, base = tables
    country, region = (own.country, own.region) if own.country else (base.country, base.region)
    return Location(country, region, own.asn or base.asn)
