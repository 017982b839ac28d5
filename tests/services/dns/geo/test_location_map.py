"""An operator's file of locations, and tables of ranges."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.errors import ConfigError
from xdpkit.services.dns.geo.location_table import (
    Prefix,
    overlaid,
    table_of_prefixes,
)
from xdpkit.services.dns.geo.locations import Locations, read_locations
from xdpkit.services.dns.geo.places import MAP
from xdpkit.services.dns.geo.targets import NOWHERE, Location


def read(directory: Path, text: str | bytes) -> Locations:
    path = directory / "map"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_locations({MAP: path})


def test_lines(tmp_path: Path) -> None:
    text = """
# a comment
192.0.2.0/24   US us-ca  AS64496   # another
192.0.2.128/25 us ny
192.0.2.129    de
198.51.100.0/24 - as64497
2001:db8::/32\tfr
2001:db8:1::/48 jp 13
0.0.0.0/0 br
"""
    table = read(tmp_path, text)
    expected = {
        "192.0.2.1": Location("us", "us-ca", 64496),
        "192.0.2.128": Location("us", "us-ny"),
        "192.0.2.129": Location("de"),
        "192.0.2.130": Location("us", "us-ny"),
        "192.0.3.0": Location("br"),
        "0.0.0.0": Location("br"),
        "255.255.255.255": Location("br"),
        "198.51.100.7": Location(asn=64497),
        "2001:db8:2::": Location("fr"),
        "2001:db8:1:2::": Location("jp", "jp-13"),
        "2001:db9::": NOWHERE,
        "::": NOWHERE,
    }
    assert {each: table.fact(ip_address(each))[0] for each in expected} == expected


@pytest.mark.parametrize(
    "line, column, words",
    [
        ("192.0.2.0/24", 1, "1 words: write PREFIX COUNTRY"),
        ("192.0.2.0/24 us us-ca as1 x", 27, "5 words"),
        ("192.0.2/24 us", 1, '"192.0.2/24" is no prefix'),
        ("192.0.2.0/33 us", 1, "is no prefix"),
        ("192.0.2.1/24 us", 1, "has bits behind its length: write 192.0.2.0/24"),
        ("2001:db8::/65 us", 1, "told apart to /64"),
        ("  192.0.2.0/24 uk", 16, '"uk" is no country: write its ISO 3166 code'),
        ("192.0.2.0/24 europe", 14, "is no country"),
        ("192.0.2.0/24 us de-be", 17, 'the region "de-be" is not one of us'),
        ("192.0.2.0/24 us california", 17, "is no region or AS number"),
        ("192.0.2.0/24 us as1 us-ca", 21, "is no region or AS number"),
        ("192.0.2.0/24 us as4294967296", 17, "is no AS number"),
        ("192.0.2.0/24 us as0", 17, "is no AS number"),
        ("192.0.2.0/24 - us-ca", 16, "is no region"),
        ("192.0.2.0/24 -", 14, "neither a country nor an AS number"),
        ("10.0.0.0/8 fr", 1, "10.0.0.0/8 is in line 1 already"),
        ("\x00 us", 1, "is no prefix"),
    ],
)
def test_errors(tmp_path: Path, line: str, column: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"10.0.0.0/8 de\n{line}\n")
    [text] = caught.value.lines()
    assert text.startswith(f"{tmp_path / 'map'}:2:{column}: ") and words in text


def test_every_error_and_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, b"x us\n\xff\xfe de\n1.2.3.4 de\ny us\n")
    assert [error.line for error in caught.value.errors] == [1, 2, 4]
    with pytest.raises(ConfigError, match="a directory"):
        read_locations({MAP: tmp_path})


PREFIXES = st.one_of(
    st.builds(
        lambda number, length: ip_network((number << 24, length), strict=False),
        st.integers(0, 15),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, length: ip_network((number << 64, length), strict=False),
        st.integers(0, 15),
        st.integers(0, 64),
    ),
)
LOCATIONS = st.sampled_from(
    [Location("us"), Location("de", "de-be"), Location(asn=5), Location("fr", "", 6)]
)
TABLES = st.dictionaries(PREFIXES, LOCATIONS, max_size=12)


def longest(prefixes: dict[Prefix, Location], text: str) -> Location:
    """By looking at every prefix."""
    address = ip_address(text)
    holding = [each for each in prefixes if each.version == address.version and address in each]
    return prefixes[max(holding, key=lambda each: each.prefixlen)] if holding else NOWHERE


def around(prefixes: dict[Prefix, Location]) -> list[str]:
    """Addresses at both ends of the prefixes, and beside them."""
    numbers = [(0, 4), (0, 6)]
    for each in prefixes:
        step = 1 if each.version == 4 else 1 << 64
        for edge in (int(each.network_address), int(each.broadcast_address)):
            numbers += [(edge + offset, each.version) for offset in (-step, 0, step)]
    sizes = {4: 1 << 32, 6: 1 << 128}
    found = [ip_network((n % sizes[v], 32 if v == 4 else 128)) for n, v in numbers]
    return [str(each.network_address) for each in found]


@settings(max_examples=300, deadline=None)
@given(prefixes=TABLES)
def test_the_longest_prefix_counts(prefixes: dict[Prefix, Location]) -> None:
    table = table_of_prefixes(list(prefixes.items()), NOWHERE)
    for text in around(prefixes):
        assert table.lookup(ip_address(text)) == longest(prefixes, text), text
    for version in (4, 6):
        ranges = table.ranges(version)
        assert ranges.starts[0] == 0 and list(ranges.starts) == sorted(set(ranges.starts))
        pairs = zip(ranges.indexes, ranges.indexes[1:], strict=False)
        assert all(one != other for one, other in pairs), "no more ranges than needed"


@settings(max_examples=200, deadline=None)
@given(own=TABLES, base=TABLES)
def test_tables_on_top_of_each_other(
    own: dict[Prefix, Location], base: dict[Prefix, Location]
) -> None:
    tables = [table_of_prefixes(list(each.items()), NOWHERE) for each in (own, base)]
    for text in around(own | base):
        mine, theirs = longest(own, text), longest(base, text)
        found = overlaid([table.lookup(ip_address(text)) for table in tables])
        country = mine if mine.country else theirs
        assert found == Location(country.country, country.region, mine.asn or theirs.asn)


def test_a_large_map_is_read_in_one_pass() -> None:
    rng = random.Random(1)
    prefixes = {
        ip_network((rng.getrandbits(32), rng.randint(8, 32)), strict=False): Location("us")
        for _ in range(20_000)
    }
    table = table_of_prefixes(list(prefixes.items()), NOWHERE)
    assert len(table.ipv4.starts) < 2 * len(prefixes) + 2
