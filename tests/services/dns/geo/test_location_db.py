"""MaxMind databases: the same as their own reader says, and what damaged ones do."""

from __future__ import annotations

import os
import random
import time
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import maxminddb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_files import asn_record, city_record, country_record, write_database

from xdpkit.bench.location_database import database, mapping, text, write_city_database
from xdpkit.errors import ConfigError
from xdpkit.services.dns.geo import mmdb
from xdpkit.services.dns.geo.location_db import database_files
from xdpkit.services.dns.geo.locations import Locations, read_locations
from xdpkit.services.dns.geo.mmdb import Database, DatabaseError
from xdpkit.services.dns.geo.places import PlaceTable
from xdpkit.services.dns.geo.targets import NOWHERE, Location

CITY = {
    "192.0.2.0/24": city_record("US", "CA"),
    "192.0.2.128/25": city_record("DE", "BE"),
    "198.51.100.7/32": city_record("FR"),
    "203.0.113.0/24": city_record(""),
    "2001:db8::/32": city_record("JP", "13"),
    "2001:db8:1:2::/64": city_record("GB", "ENG"),
    "2001:db9::/127": city_record("BR"),
}


def read_database(path: Path, kind: str) -> PlaceTable:
    return read_locations({kind: path}).tables[kind]


def locations(table: PlaceTable | Locations, *addresses: str) -> list[Location]:
    return [table.fact(ip_address(each))[0] for each in addresses]


@pytest.mark.parametrize("version", [4, 6])
def test_a_city_database(tmp_path: Path, version: int) -> None:
    records = {key: each for key, each in CITY.items() if version == 6 or ":" not in key}
    table = read_database(write_database(tmp_path / "c.mmdb", records, version), "City")
    assert locations(table, "192.0.2.1", "192.0.2.200", "198.51.100.7", "198.51.100.8") == [
        Location("us", "us-ca"),
        Location("de", "de-be"),
        Location("fr"),
        NOWHERE,
    ]
    assert locations(table, "203.0.113.1", "0.0.0.0", "255.255.255.255") == [NOWHERE] * 3
    found = locations(table, "2001:db8:5::1", "2001:db8:1:2::5", "2001:db9::", "2001:dba::")
    if version == 4:
        assert found == [NOWHERE] * 4
    else:
        expected = [Location("jp", "jp-13"), Location("gb", "gb-eng"), Location("br"), NOWHERE]
        assert found == expected


def test_three_databases_together(tmp_path: Path) -> None:
    write_database(tmp_path / "GeoLite2-City.mmdb", CITY)
    write_database(
        tmp_path / "GeoLite2-Country.mmdb",
        {"192.0.0.0/16": country_record("US"), "2001:db8::/32": country_record("KR")},
    )
    write_database(tmp_path / "GeoIP2-ASN.mmdb", {"192.0.2.192/26": asn_record(64496)})
    table = read_locations(database_files(tmp_path))
    assert locations(table, "192.0.2.1", "192.0.1.1", "192.0.2.128", "192.0.2.192") == [
        Location("us", "us-ca"),
        Location("us"),
        Location("us"),
        Location("us", "", 64496),
    ]
    assert locations(table, "198.51.100.7", "2001:db8::1", "::") == [
        Location("fr"),
        Location("kr"),
        NOWHERE,
    ]


def test_which_databases_are_taken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no databases found: put some of GeoLite2-Country"):
        database_files(tmp_path)
    for name in ("GeoLite2-City", "GeoIP2-City", "GeoLite2-ASN", "Other-Country"):
        (tmp_path / f"{name}.mmdb").touch()
    assert {kind: path.name for kind, path in database_files(tmp_path).items()} == {
        "City": "GeoIP2-City.mmdb",
        "ASN": "GeoLite2-ASN.mmdb",
    }


def test_a_link_that_leads_nowhere(tmp_path: Path) -> None:
    link, file = tmp_path / "GeoIP2-City.mmdb", tmp_path / "new" / "City.mmdb"
    link.symlink_to(file)
    (tmp_path / "GeoLite2-Country.mmdb").touch()
    with pytest.raises(ConfigError) as caught:
        database_files(tmp_path)
    [line] = caught.value.lines()
    assert line.startswith(f"{link}: a link to {file}, where no file is: put a database there")
    # Another of its kind is used.
    (tmp_path / "GeoLite2-City.mmdb").touch()
    assert database_files(tmp_path)["City"].name == "GeoLite2-City.mmdb"
    (tmp_path / "new").mkdir()
    file.touch()
    assert database_files(tmp_path)["City"] == link


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, reason in (("gone", "No such file or directory"), ("file", "Not a directory")):
        with pytest.raises(ConfigError) as caught:
            database_files(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: cannot be read: {reason}"


def reads(path: Path, address: str) -> tuple[str, str]:
    """The country by our reader, and by MaxMind's."""
    with maxminddb.open_database(path) as reader:
        record: Any = reader.get(address)
    [ours] = locations(read_database(path, "City"), address)
    return ours.country, record["country"]["iso_code"].lower()


@pytest.mark.parametrize("length", [28, 29, 100, 284, 285, 286, 65820, 65821, 65822, 100_000])
def test_data_before_what_is_wanted(tmp_path: Path, length: int) -> None:
    """Sizes take up to three more bytes."""
    country = mapping({"iso_code": text("DE")})
    record = mapping({"aaa": text("x" * length), "country": country})
    path = tmp_path / "x.mmdb"
    path.write_bytes(database((1 + 16).to_bytes(4, "big") * 2, 1, record, 4))
    assert reads(path, "192.0.2.1") == ("de", "de")


def test_an_invented_database_of_many_places(tmp_path: Path) -> None:
    path = tmp_path / "x.mmdb"
    write_city_database(path, 12, 1000)
    rng = random.Random(1)
    found = set()
    for _ in range(20):
        ours, theirs = reads(path, str(ip_address(rng.getrandbits(32))))
        assert ours == theirs
        found.add(ours)
    assert len(found) > 5


def test_a_network_that_holds_all_of_ipv4(tmp_path: Path) -> None:
    record = city_record("DE")
    path = write_database(tmp_path / "x.mmdb", {"::/3": record, "4000::/3": record})
    table = read_database(path, "City")
    found = locations(table, "192.0.2.1", "::1", "1fff::", "2000::", "4000::", "5fff::", "6000::")
    assert [each.country for each in found] == ["de", "de", "de", "", "de", "de", ""]


def test_neighbors_in_one_place_are_one_range(tmp_path: Path) -> None:
    records = {f"192.0.{number}.0/24": city_record("US", "CA") for number in (4, 5, 6, 7, 9)}
    table = read_database(write_database(tmp_path / "x.mmdb", records), "City")
    assert [start & 0xFFFF for start in table.ipv4.starts] == [0, 0x400, 0x800, 0x900, 0xA00]


RECORDS: st.SearchStrategy[Any] = st.sampled_from(
    [city_record("US", "CA"), city_record("DE"), country_record("FR"), {"country": {}}, {}, [1], 5]
)
NETWORKS = st.dictionaries(
    st.builds(
        lambda high, low, length: (high << 28 | low, length),
        st.integers(0, 15),
        st.integers(0, 15),
        st.integers(1, 32),
    ),
    RECORDS,
    min_size=1,
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(networks=NETWORKS, version=st.sampled_from((4, 6)))
def test_the_same_as_maxminds_reader(
    tmp_path_factory: pytest.TempPathFactory,
    networks: dict[tuple[int, int], Any],
    version: int,
) -> None:
    path = tmp_path_factory.mktemp("mmdb") / "x.mmdb"
    longest_last = sorted(networks.items(), key=lambda each: each[0][1])
    prefixes: dict[str, Any] = {}
    for (number, length), record in longest_last:
        number &= -1 << (32 - length)
        prefixes[f"{ip_address(number)}/{length}"] = record
    write_database(path, prefixes, version)
    table = read_database(path, "City")
    with maxminddb.open_database(path) as reader:
        for prefix in prefixes:
            first, length = prefix.split("/")
            start, size = int(ip_address(first)), 1 << (32 - int(length))
            for number in (start - 1, start, start + size // 2, start + size - 1, start + size):
                address = ip_address(number % (1 << 32))
                record = reader.get(address)
                record = record if isinstance(record, dict) else {}
                country = record.get("country", {}).get("iso_code", "").lower()
                regions = record.get("subdivisions") or [{}]
                region = regions[0].get("iso_code", "").lower()
                expected = Location(country, f"{country}-{region}" if region else "")
                assert table.fact(address)[0] == expected


def test_a_whole_database_against_maxminds_reader(tmp_path: Path) -> None:
    """Enough networks for the tree to have several sizes of pointers to data."""
    rng = random.Random(1)
    codes = ["US", "DE", "FR", "JP", "BR", "ZA"]
    records = {
        f"{rng.randrange(1, 224)}.{rng.randrange(256)}.{rng.randrange(256)}.0/24": city_record(
            rng.choice(codes), f"R{rng.randrange(30)}"
        )
        for _ in range(3000)
    }
    records |= {
        f"2a{rng.randrange(256):02x}:{rng.randrange(65536):x}::/32": city_record(rng.choice(codes))
        for _ in range(1000)
    }
    path = write_database(tmp_path / "c.mmdb", records)
    table = read_database(path, "City")
    with maxminddb.open_database(path) as reader:
        for prefix in records:
            address = ip_address(prefix.split("/")[0]) + rng.randrange(256)
            record = reader.get(address)
            assert isinstance(record, dict)
            country: Any = record["country"]
            assert table.fact(address)[0].country == country["iso_code"].lower()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_database(tmp_path_factory.mktemp("city") / "c.mmdb", CITY).read_bytes()


def damaged(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(DatabaseError) as caught:
        read_database(path, "City")
    [line] = caught.value.lines()
    assert line.startswith(f"{path}: ")
    return line


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.9, 0.99])
def test_a_truncated_database(tmp_path: Path, city: bytes, share: float) -> None:
    data = city[: int(len(city) * share)]
    assert "not a MaxMind database, or damaged" in damaged(tmp_path / "x.mmdb", data)


def test_what_is_no_database(tmp_path: Path, city: bytes) -> None:
    path = tmp_path / "x.mmdb"
    assert "no metadata" in damaged(path, b"text" * 1000)
    assert "fetch it again" in damaged(path, os.urandom(100_000))
    # A tree that the file has no room for: the metadata say so.
    cut = city[city.rfind(b"\xab\xcd\xefMaxMind.com") :]
    assert "the tree is larger than the file" in damaged(path, cut)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatabaseError, match="a FIFO"):
        read_database(path, "City")
    with pytest.raises(DatabaseError, match="No such file"):
        read_database(tmp_path / "gone", "City")


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=20))
def test_any_bytes_changed(
    tmp_path_factory: pytest.TempPathFactory, city: bytes, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(city)
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.mktemp("mmdb") / "x.mmdb"
    path.write_bytes(data)
    try:
        table = read_database(path, "City")
    except DatabaseError as error:
        assert len(error.lines()) == 1
        return
    for ranges in (table.ipv4, table.ipv6):
        assert list(ranges.starts) == sorted(set(ranges.starts))
        assert max(ranges.indexes) < len(table.places)


def test_a_tree_that_leads_back_into_itself_ends(
    tmp_path: Path, city: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmdb, "_LEAVES_MAX", 100_000)
    path = tmp_path / "x.mmdb"
    path.write_bytes(city)
    nodes = Database(path).nodes
    # Both records of every node are the first node.
    assert "a tree without end" in damaged(path, bytes(nodes * 6) + city[nodes * 6 :])
    # Both are the next node, down to the last level: 2^32 leaves, were they walked.
    rows = [i + 1 if i < 96 + 32 else nodes for i in range(nodes)]
    tree = b"".join(2 * row.to_bytes(3, "big") for row in rows)
    assert "more than 100000 networks" in damaged(path, tree + city[nodes * 6 :])


# Data, where it is said to be, and what is said of it.
ENDLESS = {
    "before the data": (b"", 5, "a leaf without data"),
    "behind the data": (b"", 1000, "it ends too early"),
    "more keys than any": (
        mapping({f"{number}": text("x") for number in range(20_000)}),
        16,
        "data without end",
    ),
    "an array of arrays": (mapping({"aaa": b"\x1f\x04\xff\xff\xff" * 100}), 16, "data without end"),
    "a pointer to itself": (b"\x20\x00", 16, "a pointer to a pointer"),
    "a key that is the map": (b"\xe1\x20\x00" + text("x"), 16, ""),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_data_without_end(tmp_path: Path, case: str) -> None:
    data, offset, words = ENDLESS[case]
    path = tmp_path / "x.mmdb"
    path.write_bytes(database((1 + offset).to_bytes(4, "big") * 2, 1, data, 4))
    if words:
        assert words in damaged(path, path.read_bytes())
    else:
        assert locations(read_database(path, "City"), "192.0.2.1") == [NOWHERE]


def test_small_data_that_many_leaves_share_takes_no_time(tmp_path: Path) -> None:
    """Each leaf is a pointer to the same map, and what is wanted of it is behind all keys."""
    leaves = 1 << 12
    shared = mapping({f"a{number:04}": text("x") for number in range(3200)})
    pointers = b"".join(b"\x38" + (6 * leaves).to_bytes(4, "big") + b"\0" for _ in range(leaves))
    nodes = leaves - 1
    rows = [
        child if (child := 2 * node + side) < nodes else nodes + 16 + 6 * (child - nodes)
        for node in range(nodes)
        for side in (1, 2)
    ]
    tree = b"".join(row.to_bytes(4, "big") for row in rows)
    path = tmp_path / "x.mmdb"
    path.write_bytes(database(tree, nodes, pointers + shared, 4))
    started = time.thread_time()
    assert "more data than is in the file" in damaged(path, path.read_bytes())
    # All of it would take minutes.
    assert time.thread_time() - started < 30


def test_data_that_consists_of_pointers_is_read(tmp_path: Path) -> None:
    """As small as records can be, beside what is passed for them."""
    country = mapping({"geoname_id": text("x"), "iso_code": text("DE")})
    keys = ("city", "continent", "country", "location", "postal", "registered", "subdivisions")
    count = 20_000
    names = b"".join(text(key) for key in keys)
    ats = [sum(1 + len(key) for key in keys[:i]) for i in range(len(keys))]
    found = b"".join(
        b"\x38" + at.to_bytes(4, "big") + b"\x38" + len(names).to_bytes(4, "big") for at in ats
    )
    record = bytes([0xE0 + len(keys)]) + found
    data = names + country + record * count
    first = len(names) + len(country)
    rows = [
        child
        if (child := 2 * node + side) < count - 1
        else count - 1 + 16 + first + len(record) * (child - (count - 1))
        for node in range(count - 1)
        for side in (1, 2)
    ]
    path = tmp_path / "x.mmdb"
    path.write_bytes(database(b"".join(row.to_bytes(4, "big") for row in rows), count - 1, data, 4))
    assert reads(path, "192.0.2.1") == ("de", "de")
