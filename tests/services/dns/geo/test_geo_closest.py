"""Coordinates of addresses, and the nearest of several."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import maxminddb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdb_files import city_record, write_database

from xdpkit.services.dns.geo.closest import closest
from xdpkit.services.dns.geo.coordinates import Coordinates, distance
from xdpkit.services.dns.geo.locations import read_locations


def by_geodns(distances: list[float], hosts: int) -> list[int]:
    """As GeoDNS goes about it: again and again over all that are not chosen yet."""
    chosen: set[int] = set()
    while len(chosen) < min(hosts, len(distances)):
        least = 360.0
        for i, each in enumerate(distances):
            if i not in chosen and each <= least:
                least = each
        for i, each in enumerate(distances):
            if i not in chosen and each <= least * 1.05:
                chosen.add(i)
    return sorted(chosen)


@given(
    distances=st.lists(st.floats(0, 180) | st.sampled_from([0.0, 1.0, 1.04, 1.06, 360.0])),
    hosts=st.integers(1, 6),
)
def test_the_same_records_as_geodns(distances: list[float], hosts: int) -> None:
    assert closest(distances, hosts) == by_geodns(distances, hosts)


def test_the_nearest_and_their_neighbors() -> None:
    assert closest([10, 1, 1.04, 50, 360], 1) == [1, 2]
    assert closest([10, 1, 1.04, 50, 360], 3) == [0, 1, 2]
    assert closest([], 2) == []


@pytest.mark.parametrize(
    "one, other, expected",
    [
        ((90, 0), (-90, 77), 180),
        ((0, 0), (0, 90), 90),
        ((0, 179), (0, -179), 2),
        ((52.52, 13.405), (40.713, -74.006), 57.42),
        ((52.52, 13.405), (52.52, 13.405), 0),
        ((52.52, 13.405), (52.52001, 13.405), 0.00001),
    ],
)
def test_degrees_on_the_sphere(
    one: tuple[float, float], other: tuple[float, float], expected: float
) -> None:
    found = distance(Coordinates(*one), Coordinates(*other))
    assert found == pytest.approx(expected, abs=0.01, rel=1e-3)
    assert distance(Coordinates(*one), None) == 360


def test_coordinates_of_a_database(tmp_path: Path) -> None:
    here, nowhere = city_record("DE"), city_record("FR")
    del nowhere["location"]
    wrong = {**city_record("US"), "location": {"latitude": 91.0, "longitude": 5.0}}
    records = {"192.0.2.0/24": here, "198.51.100.0/24": nowhere, "203.0.113.0/24": wrong}
    path = write_database(tmp_path / "c.mmdb", records)
    table = read_locations({"City": path})
    assert table.fact(ip_address("192.0.2.1"))[1] == Coordinates(52.5, 13.4)
    for other in ("198.51.100.1", "203.0.113.1", "10.0.0.1", "::1"):
        assert table.fact(ip_address(other))[1] is None
    with maxminddb.open_database(path) as reader:
        record = reader.get("192.0.2.1")
        assert isinstance(record, dict) and isinstance(record["location"], dict)
        assert record["location"]["latitude"] == 52.5
