"""Blocks that are no views are refused, whatever is wrong with them."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network

import pytest
from geo_locations import place_table

from xdpkit._core._geo_view import GeoView, Merge
from xdpkit.services.dns.geo.location_db import COUNTRY
from xdpkit.services.dns.geo.locations import Locations
from xdpkit.services.dns.geo.places import Fact
from xdpkit.services.dns.geo.targets import Location, Targeting
from xdpkit.services.dns.geo.view import make_view

BUCKETS = 1 << 16


@dataclass
class Block:
    """A view's block, and where its parts are (``cext/geo/view.h``)."""

    data: bytearray

    def __post_init__(self) -> None:
        names = ("classes", "size", "exact", "further", "ipv6_entries", "ipv4_entries")
        fields = dict(zip(names, struct.unpack_from("<12xIQ4I", self.data), strict=True))
        self.classes, self.further = fields["classes"], fields["further"]
        self.exact = 64
        self.ipv4 = self.exact + 16 * fields["exact"]
        self.ipv6 = self.ipv4 + 8 * BUCKETS
        self.further_at = self.ipv6 + 8 * BUCKETS
        self.ipv6_entries = self.further_at + 8 * self.further
        self.ipv4_entries = self.ipv6_entries + 8 * fields["ipv6_entries"]
        self.exact_classes = self.ipv4_entries + 4 * fields["ipv4_entries"]
        self.texts = self.exact_classes + 2 * fields["exact"]
        self.counts = fields

    def word(self, at: int) -> int:
        return int(struct.unpack_from("<I", self.data, at)[0])

    def put(self, at: int, value: int) -> None:
        struct.pack_into("<I", self.data, at, value)

    def cut_texts(self, size: int) -> None:
        """Leaves so many bytes of them, and says so."""
        del self.data[self.texts + size :]
        self.put(56, size)
        self.put(16, len(self.data))

    def swap(self, at: int, size: int) -> None:
        """Two neighbors change places."""
        first, second = self.data[at : at + size], self.data[at + size : at + 2 * size]
        self.data[at : at + 2 * size] = second + first


@pytest.fixture(scope="module")
def made() -> bytes:
    """Entries of both versions, further buckets, single addresses."""
    facts: list[Fact] = [(Location(country), None) for country in ("us", "de")]
    prefixes = {ip_network(f"10.0.{2 * n}.0/24"): facts[n % 2] for n in range(9)}
    prefixes |= {ip_network(f"2001:db8:{n:x}::/48"): facts[n % 2] for n in range(1, 90, 2)}
    prefixes |= {ip_network(f"2002:db8:{n:x}::/48"): facts[n % 2] for n in range(3)}
    targets = frozenset({"us", "de", "[2001:db8:1::1]", "[2002:db8::]"})
    locations = Locations({COUNTRY: place_table(prefixes)})
    return make_view(locations, targets, Targeting(127)).block


# Buckets of 10.0.0.0/16, 2001::/16, 2002::/16, and of 0.0.0.0/16, which has one class.
TEN, CROWDED, FEW, SINGLE = 8 * 0x0A00, 8 * 0x2001, 8 * 0x2002, 0

DAMAGES: dict[str, Callable[[Block], None]] = {
    "another magic": lambda b: b.put(0, 1),
    "another version": lambda b: b.put(8, 1),
    "no classes": lambda b: b.put(12, 0),
    "fewer classes": lambda b: b.put(12, b.classes - 1),
    "too many classes": lambda b: b.put(12, 65536),
    "another size": lambda b: b.put(16, len(b.data) + 1),
    "more exact starts": lambda b: b.put(24, b.counts["exact"] + 1),
    "more further buckets": lambda b: b.put(28, b.further + 1),
    "fewer IPv6 entries": lambda b: b.put(32, b.counts["ipv6_entries"] - 1),
    "more IPv4 entries": lambda b: b.put(36, b.counts["ipv4_entries"] + 1),
    "no room": lambda b: b.data.__delitem__(slice(64, None)),
    "no header": lambda b: b.data.__delitem__(slice(63, None)),
    "one byte less": lambda b: b.data.pop() and None,
    "one byte more": lambda b: b.data.append(0),
    "a class that is none": lambda b: b.put(b.ipv4 + SINGLE, b.classes),
    "an IPv6 class that is none": lambda b: b.put(b.ipv6 + SINGLE, 65535),
    "a scope behind the bucket": lambda b: b.put(b.ipv4 + SINGLE + 4, 17),
    "entries of another bucket": lambda b: b.put(b.ipv4 + TEN, 1),
    "IPv6 entries of another bucket": lambda b: b.put(b.ipv6 + FEW, 1),
    "one entry": lambda b: b.put(b.ipv4 + TEN + 4, 1 << 8),
    "fewer entries": lambda b: b.put(b.ipv4 + TEN + 4, b.word(b.ipv4 + TEN + 4) - (1 << 8)),
    "more entries": lambda b: b.put(b.ipv4 + TEN + 4, b.word(b.ipv4 + TEN + 4) + (1 << 8)),
    "very many entries": lambda b: b.put(b.ipv4 + TEN + 4, 0xFFFFFF00),
    "further buckets of IPv4": lambda b: b.put(b.ipv4 + TEN + 4, b.word(b.ipv4 + TEN + 4) | 2),
    "more IPv6 entries": lambda b: b.put(b.ipv6 + FEW + 4, b.word(b.ipv6 + FEW + 4) + (1 << 8)),
    "very many IPv6 entries": lambda b: b.put(b.ipv6 + FEW + 4, 0xFFFFFF00),
    "further buckets from nowhere": lambda b: b.put(b.ipv6 + FEW + 4, 2 << 8 | 1),
    "more further ones": lambda b: b.put(b.ipv6 + CROWDED + 4, b.word(b.ipv6 + CROWDED + 4) + 1),
    "fewer further ones": lambda b: b.put(b.ipv6 + CROWDED + 4, b.word(b.ipv6 + CROWDED + 4) - 1),
    "very many further ones": lambda b: b.put(b.ipv6 + CROWDED + 4, 1 << 8 | 255),
    "further ones elsewhere": lambda b: b.put(b.ipv6 + CROWDED, 1),
    "a further scope too long": lambda b: b.put(b.further_at + 4, 63),
    "entries in disorder": lambda b: b.swap(b.ipv4_entries + 4, 4),
    "IPv6 entries in disorder": lambda b: b.swap(b.ipv6_entries + 8, 8),
    "an entry in front of its bucket": lambda b: b.put(b.ipv4_entries, 1 << 16),
    "an entry's class that is none": lambda b: b.put(b.ipv4_entries, b.classes),
    "exact starts in disorder": lambda b: b.swap(b.exact, 16),
    "an exact class that is none": lambda b: b.data.__setitem__(
        slice(b.exact_classes, b.texts), b"\xff" * (b.texts - b.exact_classes)
    ),
    "no texts": lambda b: b.put(56, 0),
    "fewer texts": lambda b: b.put(56, b.word(56) - 1),
    "very many texts": lambda b: b.put(60, 0xFFFFFFFF),
    "less text than ends": lambda b: b.cut_texts(4 * b.classes - 1),
    "no text after the ends": lambda b: b.cut_texts(4 * b.classes),
    "text that is cut off": lambda b: b.cut_texts(b.word(56) - 1),
    "text that ends in front of its start": lambda b: b.put(b.texts + 4, 0),
    "text that ends at its start": lambda b: b.put(b.texts + 4, b.word(b.texts)),
    "text that ends elsewhere": lambda b: b.put(b.texts, b.word(b.texts) + 1),
    "text that ends past the end": lambda b: b.put(b.texts, 0xFFFFFFFF),
    "targets that are longer": lambda b: b.data.__setitem__(b.texts + 4 * b.classes, 2),
    "targets past the end": lambda b: b.data.__setitem__(b.texts + 4 * b.classes, 255),
    "coordinates past the end": lambda b: b.data.__setitem__(len(b.data) - 1, 255),
}


def test_what_is_whole_is_taken(made: bytes) -> None:
    block = Block(bytearray(made))
    assert min(block.counts.values()) > 0
    assert GeoView(made).find("10.0.2.1") != GeoView(made).find("10.0.3.1")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused(made: bytes, damage: str) -> None:
    block = Block(bytearray(made))
    DAMAGES[damage](block)
    assert block.data != made
    with pytest.raises(ValueError, match="that are not a view of this version"):
        GeoView(block.data)


def test_exact_classes_need_exact_starts(made: bytes) -> None:
    """An entry says that the exact starts tell, and there are none."""
    block = Block(bytearray(made))
    exact = block.counts["exact"]
    block.cut_texts(0)
    GeoView(block.data)
    del block.data[block.exact_classes :], block.data[block.exact : block.ipv4]
    block.put(24, 0)
    block.put(16, block.word(16) - 18 * exact)
    with pytest.raises(ValueError, match="that are not a view"):
        GeoView(block.data)


@pytest.mark.parametrize(
    "starts, values",
    [
        ([0, 5, 5], [0, 1, 0]),
        ([0, 5, 4], [0, 1, 0]),
        ([1, 2], [0, 1]),
        ([0, 1], [0, 2]),
        ([0], [9]),
    ],
)
def test_tables_that_are_damaged_are_refused(starts: list[int], values: list[int]) -> None:
    sound = (array("Q", [0]), array("I", [0]))
    ids = array("I", [0, 1])
    with pytest.raises(ValueError, match="ranges do not ascend, or whose values it has not"):
        Merge([(ids, array("I", starts), array("I", values), *sound)])
    with pytest.raises(ValueError, match="more starts than values"):
        Merge([(ids, array("I", [0, 1]), array("I", [0]), *sound)])


def test_classes_in_words(made: bytes) -> None:
    view = GeoView(made)
    texts = [view.text(number) for number in range(view.classes)]
    assert texts[0] == ("@", "")
    assert {text[0] for text in texts if text} >= {"@", "us @", "[2001:db8:1::1] de @"}
    with pytest.raises(IndexError):
        view.text(view.classes)
    block = Block(bytearray(made))
    block.cut_texts(0)
    bare = GeoView(block.data)
    assert {bare.text(number) for number in range(bare.classes)} == {None}
