"""A database of invented places, of any size, in MaxMind's format: the same for the same seed.

A writer of its own, because it makes millions of networks in seconds. As in a City database of
theirs, each record has names in eight languages, several networks share one, and IPv4 is a part of
IPv6.
"""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

from xdpkit.services.dns.geo.continents import CONTINENTS

_MARKER = b"\xab\xcd\xefMaxMind.com"
_LANGUAGES = ("de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN")

# Where IPv4 begins in a tree of IPv6, and what lies between tree and data.
_IPV4_DEPTH, _GAP = 96, 16


def city_database(depth: int = 22, places: int = 200_000, seed: int = 1) -> bytes:
    """The file: ``2**depth`` networks of IPv4; the defaults are as large as MaxMind's."""
    rng = random.Random(seed)
    countries = sorted(CONTINENTS)
    records = [
        place_record(rng.choice(countries), f"{rng.randrange(20)}", number)
        for number in range(places)
    ]
    offsets, at = [], 0
    for record in records:
        offsets.append(at)
        at += len(record)
    inner = (1 << depth) - 1
    nodes = _IPV4_DEPTH + inner
    tree = array("I", bytes(8 * nodes))
    for node in range(_IPV4_DEPTH):
        tree[2 * node], tree[2 * node + 1] = node + 1, nodes
    for node in range(inner):
        for side in (1, 2):
            child = 2 * node + side
            at = 2 * (_IPV4_DEPTH + node) + side - 1
            if child < inner:
                tree[at] = _IPV4_DEPTH + child
            else:
                tree[at] = nodes + _GAP + offsets[rng.randrange(places)]
    tree.byteswap()
    return database(tree.tobytes(), nodes, b"".join(records))


def place_record(country: str, region: str, number: int) -> bytes:
    """A record as City databases have it."""
    names = mapping({language: text(f"Place {number}") for language in _LANGUAGES})
    return mapping(
        {
            "city": mapping({"geoname_id": unsigned(number), "names": names}),
            "country": mapping({"iso_code": text(country.upper())}),
            "location": mapping(
                {
                    "accuracy_radius": unsigned(number % 1000),
                    "latitude": real(number % 17_000 / 100 - 85),
                    "longitude": real(number * 7919 % 36_000 / 100 - 180),
                }
            ),
            "subdivisions": sequence([mapping({"iso_code": text(region), "names": names})]),
        }
    )


def database(tree: bytes, nodes: int, data: bytes, version: int = 6) -> bytes:
    """A file of a tree with records of 32 bits, and of data."""
    metadata = {
        "binary_format_major_version": unsigned(2, 2),
        "binary_format_minor_version": unsigned(0, 2),
        "build_epoch": unsigned(1, 8),
        "database_type": text("Invented"),
        "description": mapping({"en": text("invented")}),
        "ip_version": unsigned(version, 2),
        "languages": sequence([text("en")]),
        "node_count": unsigned(nodes),
        "record_size": unsigned(32, 2),
    }
    return tree + bytes(_GAP) + data + _MARKER + mapping(metadata)


def text(value: str) -> bytes:
    """A string."""
    data = value.encode()
    return _head(2, len(data)) + data


def unsigned(value: int, size: int = 4) -> bytes:
    """A number of 2, 4 or 8 bytes."""
    data = value.to_bytes(size, "big").lstrip(b"\0")
    return _head({2: 5, 4: 6, 8: 9}[size], len(data)) + data


def real(value: float) -> bytes:
    """A number with a fraction."""
    return _head(3, 8) + struct.pack(">d", value)


def mapping(values: Mapping[str, bytes]) -> bytes:
    """A map of values that are written already."""
    return _head(7, len(values)) + b"".join(text(key) + each for key, each in values.items())


def sequence(values: Sequence[bytes]) -> bytes:
    """An array of them."""
    return _head(11, len(values)) + b"".join(values)


def _head(kind: int, size: int) -> bytes:
    """The first bytes of a value."""
    more = b""
    for code, base, length in ((31, 65821, 3), (30, 285, 2), (29, 29, 1)):
        if size >= base:
            more, size = (size - base).to_bytes(length, "big"), code
            break
    first = bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])
    return first + more


def write_city_database(path: Path, depth: int = 22, places: int = 200_000) -> None:
    """Writes the database to a file."""
    path.write_bytes(city_database(depth, places))
