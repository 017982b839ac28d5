"""Locations from databases and a map, kept for the next start; and what damaged files do."""

from __future__ import annotations

import os
import struct
from array import array
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdb_files import asn_record, city_record, country_record, write_database

from xdpkit.errors import ConfigError
from xdpkit.services.dns.geo import locations as module
from xdpkit.services.dns.geo import table_file
from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.locations import Locations, location_files, read_locations
from xdpkit.services.dns.geo.mmdb import DatabaseError
from xdpkit.services.dns.geo.places import NOTHING, Fact
from xdpkit.services.dns.geo.table_file import read_kept
from xdpkit.services.dns.geo.targets import Location, Targeting
from xdpkit.services.dns.geo.view import make_view


def place(country: str, region: str, latitude: float, longitude: float) -> dict[str, object]:
    where = {"latitude": latitude, "longitude": longitude}
    return {**city_record(country, region), "location": where}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "geoip"
    made.mkdir()
    write_database(
        made / "GeoLite2-City.mmdb",
        {
            "192.0.2.0/24": place("US", "CA", 37.5, -122.25),
            "192.0.2.128/25": place("DE", "BE", 52.5, 13.4),
            "2001:db8::/32": place("JP", "13", 35.7, 139.7),
        },
    )
    write_database(made / "GeoLite2-Country.mmdb", {"192.0.2.0/25": country_record("US")})
    write_database(made / "GeoLite2-ASN.mmdb", {"192.0.2.64/26": asn_record(64496)})
    return made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "map"
    path.write_text("192.0.2.0/28 fr as64497\n192.0.2.64/32 us us-ny\n198.51.100.0/24 de\n")
    return path


FOUND: dict[str, Fact] = {
    "192.0.2.1": (Location("fr", "", 64497), None),
    "192.0.2.20": (Location("us", "us-ca"), Coordinates(37.5, -122.25)),
    "192.0.2.64": (Location("us", "us-ny", 64496), Coordinates(37.5, -122.25)),
    "192.0.2.65": (Location("us", "us-ca", 64496), Coordinates(37.5, -122.25)),
    "192.0.2.129": (Location("de", "de-be"), Coordinates(52.5, 13.4)),
    "198.51.100.1": (Location("de"), None),
    "203.0.113.1": NOTHING,
    "2001:db8:1::": (Location("jp", "jp-13"), Coordinates(35.7, 139.7)),
    "2001:db9::": NOTHING,
}


def facts(locations: Locations) -> dict[str, Fact]:
    return {text: locations.fact(ip_address(text)) for text in FOUND}


def test_all_together_and_kept(directory: Path, own: Path, tmp_path: Path) -> None:
    files = location_files(directory, own)
    assert facts(read_locations(files)) == FOUND
    server = read_locations(files).place(ip_address("192.0.2.129").packed)
    assert server == Coordinates(52.5, 13.4)
    first = read_locations(files, tmp_path)
    assert facts(first) == FOUND
    assert [Path(each.path) for each in first.sources] == list(files.values())
    kept = read_locations(files, tmp_path)
    assert facts(kept) == FOUND
    # A map of the file, not a copy.
    assert all(isinstance(each.ipv4.starts, memoryview) for each in kept.tables.values())
    targets, targeting = frozenset({"us", "de", "us-ny", "as64496"}), Targeting(127)
    views = [make_view(each, targets, targeting, closest=True) for each in (first, kept)]
    assert views[0] == views[1]


def test_only_what_has_changed_is_read_again(
    directory: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = location_files(directory, own)
    read_locations(files, tmp_path)
    read: list[Path] = []
    real = module.read

    def noted(path: Path, zone: bool, most: int) -> Any:
        read.append(path)
        return real(path, zone, most)

    monkeypatch.setattr(module, "read", noted)
    own.write_text("192.0.2.0/24 nl\n")
    found = read_locations(files, tmp_path)
    assert read == [own]
    assert found.fact(ip_address("192.0.2.1"))[0].country == "nl"
    os.utime(files["City"])
    read_locations(files, tmp_path)
    assert read == [own]


def test_a_bad_database_is_one_error_and_nothing_is_kept_of_it(
    directory: Path, tmp_path: Path
) -> None:
    files = location_files(directory, None)
    read_locations(files, tmp_path)
    city = files["City"]
    city.write_bytes(city.read_bytes()[:-50])
    with pytest.raises(
        DatabaseError, match=r"GeoLite2-City\.mmdb: not a MaxMind database"
    ) as caught:
        read_locations(files, tmp_path)
    assert len(caught.value.lines()) == 1
    city.unlink()
    with pytest.raises(DatabaseError, match="No such file"):
        read_locations(files, tmp_path)
    with pytest.raises(ConfigError, match=r"none: cannot be read: No such file or directory$"):
        location_files(tmp_path / "none", None)


def test_a_cache_that_cannot_be_written_is_said(directory: Path, tmp_path: Path) -> None:
    said: list[str] = []
    files = location_files(directory, None)
    found = read_locations(files, tmp_path / "gone", said.append)
    assert found.fact(ip_address("192.0.2.20")) == FOUND["192.0.2.20"]
    assert len(said) == 3 and "cannot be written: No such file" in said[0]
    assert not list(tmp_path.glob("*.part"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    directory = tmp_path_factory.mktemp("kept")
    path = write_database(directory / "c.mmdb", {"192.0.2.0/24": place("US", "CA", 37.5, -122.25)})
    read_locations({"City": path}, directory)
    [file] = directory.glob("*.locations")
    return file.read_bytes()


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(ValueError, match=r"^its? |another version") as caught:
        read_kept(path)
    return str(caught.value)


def test_a_damaged_cache_is_not_used(tmp_path: Path, kept: bytes) -> None:
    path = tmp_path / "x.locations"
    path.write_bytes(kept)
    path.chmod(0o600)
    read_kept(path)
    assert refused(path, b"") == "it is too short"
    assert "no valid footer" in refused(path, kept[:-1])
    for at in range(0, len(kept) - 56, 7):
        changed = bytearray(kept)
        changed[at] ^= 1
        assert refused(path, bytes(changed)) == "its checksum is wrong"
    path.write_bytes(kept)
    path.chmod(0o666)
    with pytest.raises(OSError, match="others can write to it"):
        read_kept(path)


def test_another_versions_cache_is_not_used(
    tmp_path: Path, kept: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_file, "compiler_key", lambda: "another")
    assert "another version" in refused(tmp_path / "x", kept)


def signed(arrays: bytes, record: bytes) -> bytes:
    """A file with a checksum that is right, whatever is in it."""
    fields = struct.pack("<8sQQ32s", b"xdplocs1", len(arrays), len(record), bytes(32))
    digest = blake2b(arrays + record + fields, digest_size=32).digest()
    return arrays + record + fields[:-32] + digest


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=6),
    targets=st.frozensets(st.sampled_from(["us", "us-ca", "north-america"])),
)
def test_no_content_harms_a_reader(
    tmp_path_factory: pytest.TempPathFactory,
    kept: bytes,
    changes: list[tuple[int, int]],
    targets: frozenset[str],
) -> None:
    """The user who writes it can write a checksum, too."""
    size, length = struct.unpack_from("<QQ", kept, len(kept) - 48)
    data = bytearray(kept[: size + length])
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.mktemp("kept") / "x"
    path.write_bytes(signed(bytes(data[:size]), bytes(data[size:])))
    path.chmod(0o600)
    try:
        table, _ = read_kept(path)
    except ValueError:
        return
    locations = Locations({"City": table})
    for text in FOUND:
        locations.fact(ip_address(text))
    make_view(locations, targets, Targeting(127), closest=True)


@pytest.mark.parametrize(
    "record",
    [b"", b"[]", b"{}", b"[" * 100_000, b'{"compiler": 1}', b"\xff", b'{"compiler": null}'],
)
def test_a_record_that_is_none(tmp_path: Path, record: bytes) -> None:
    refused(tmp_path / "x", signed(array("I", [0] * 16).tobytes(), record))
