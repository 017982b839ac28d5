"""Small databases in MaxMind's format, of invented networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

NAMES = {"en": "Somewhere", "de": "Irgendwo"}


def city_record(country: str, region: str = "") -> dict[str, Any]:
    """A record as City databases have it, of upper-case codes."""
    record: dict[str, Any] = {
        "city": {"geoname_id": 1, "names": NAMES},
        "continent": {"code": "EU", "names": NAMES},
        "location": {"latitude": 52.5, "longitude": 13.4, "accuracy_radius": 10},
        "registered_country": {"iso_code": "XX", "names": NAMES},
    }
    if country:
        record["country"] = {"geoname_id": 2, "iso_code": country, "names": NAMES}
    if region:
        record["subdivisions"] = [
            {"iso_code": region, "names": NAMES},
            {"iso_code": "INNER", "names": NAMES},
        ]
    return record


def country_record(country: str) -> dict[str, Any]:
    """A record as Country databases have it."""
    return {"country": {"iso_code": country, "names": NAMES}, "is_in_european_union": True}


def asn_record(number: int) -> dict[str, Any]:
    """A record as ASN databases have it."""
    return {
        "autonomous_system_number": number,
        "autonomous_system_organization": "An Organization",
    }


def write_database(path: Path, records: Mapping[str, Any], version: int = 6) -> Path:
    """A database with these prefixes; shorter ones must come before those that they hold."""
    writer = MMDBWriter(version, path.stem, ["en"], "invented", ipv4_compatible=version == 6)
    for prefix, record in records.items():
        writer.insert_network(IPSet([prefix]), record)
    writer.to_db_file(str(path))
    return path
