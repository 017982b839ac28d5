"""Whatever a file holds, it is a zone or errors with places; never an exception of another kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dns.rdata
import dns.rdataclass
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xdpkit.bench.pool_zone import PoolSize, pool_zone_text
from xdpkit.errors import ConfigError, ZoneError
from xdpkit.services.dns.geo.geodns_conf import import_geodns_conf
from xdpkit.services.dns.geo.health import HealthFiles, read_status
from xdpkit.services.dns.geo.json_text import JsonDocument
from xdpkit.services.dns.geo.locations import Locations, read_locations
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.places import MAP
from xdpkit.services.dns.geo.records import RECORD_TYPES
from xdpkit.services.dns.geo.resolve import resolve
from xdpkit.services.dns.geo.zone_json import parse_zone, read_json_zone

ORIGIN = b"\1z\7example\0"
PATH = Path("z.example.json")
KEYS = [
    *("ttl", "serial", "contact", "max_hosts", "closest", "targeting", "logging", "data"),
    *("", "a", "www", "us", "www.us", "*", "*.a", "[192.0.2.1]", "x.europe", "gone", "@"),
    *("alias", "health", "file", "weight", "ip", "target", "txt", "preference", "tag", "value"),
    *RECORD_TYPES,
]
LEAVES = [
    *(None, True, False, 0, 1, -1, 1.5, 10, "10", 4294967295, 4294967296, 1e300, "x", "a.", ""),
    *("192.0.2.1", "2001:db8::1", "@ ip country continent", "f/k", '0 issue "a"', "1 . alpn=h2"),
    *("\ud800", "\\", "\\999", "a..b", "x" * 64, "x." * 130, "ü", "www", "us", "*"),
]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
LABELS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
DATA = st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), LABELS | VALUES, max_size=5)
HEADS = st.dictionaries(st.sampled_from(KEYS[:7]), VALUES, max_size=3)


def read(text: str, relax: bool) -> GeoZone | None:
    """The zone, or None if it is refused as it must be."""
    try:
        zone = parse_zone(JsonDocument(PATH, text, relax), ORIGIN, 0)
    except ZoneError as error:
        lines = text.count("\n") + 1
        for each in error.errors or (error,):
            if not each.reason.startswith("and "):
                assert each.line is not None and 1 <= each.line <= lines
            assert all("\n" not in line for line in each.lines())
        return None
    for label in zone.labels.values():
        assert label.wire.endswith(ORIGIN) and len(label.wire) <= 255
        for rdtype, records in label.records.items():
            for record in records:
                rdata = dns.rdata.from_wire(
                    dns.rdataclass.IN, rdtype, record.rdata, 0, len(record.rdata)
                )
                assert rdata.to_wire() == record.rdata
                assert 0 <= record.weight <= 0xFFFFFFFF
    for name in [*zone.labels, "a.b.c", "_status"]:
        for rdtype in (1, 2, 5, 6, 16, 43, 255):
            resolve(zone, name, rdtype, ("[192.0.2.1]", "us", "europe", "@"), lambda _: False)
    return zone


TEXTS = st.lists(
    st.sampled_from(
        ["[dns]", "[", "]", "=", '"', "\\", ";", "#", " ", "\n", "path", "10.0.0.0/8", "us"]
    )
    | st.text(max_size=3)
).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS | st.binary(max_size=60))
def test_any_other_file(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "dns.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    def read_map(path: Path) -> Locations:
        return read_locations({MAP: path})

    for read_file in (import_geodns_conf, read_map, read_status, read_json_zone):
        try:
            read_file(path)
        except ConfigError as error:
            assert all(line.startswith(f"{path}:") for line in error.lines())
    said: list[str] = []
    HealthFiles(path.parent, said.append).refresh()
    assert len(said) <= 1


@settings(max_examples=400, deadline=None)
@given(text=st.text(max_size=200), relax=st.booleans())
def test_any_text(text: str, relax: bool) -> None:
    read(text, relax)


@settings(max_examples=600, deadline=None)
@given(head=HEADS, data=DATA)
def test_any_values(head: dict[str, Any], data: dict[str, Any]) -> None:
    read(json.dumps({**head, "data": data}), False)


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(0, 20_000),
    length=st.integers(0, 4),
    new=st.sampled_from(["", "{", "}", "[", "]", ",", ":", '"', "\\", "#", "\n", "null", "-", "9"]),
    relax=st.booleans(),
)
def test_a_pools_zone_with_one_thing_changed(at: int, length: int, new: str, relax: bool) -> None:
    whole = pool_zone_text(PoolSize(servers=20, vendors=2))
    at %= len(whole)
    read(whole[:at] + new + whole[at + length :], relax)
