"""JSON zones for tests: written to a file, read, and their records as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest

from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.model import GeoRecord, GeoZone
from xdpkit.services.dns.geo.zone_json import read_json_zone

ORIGIN = "z.example"


def write(directory: Path, content: Any, name: str = f"{ORIGIN}.json") -> Path:
    """A file with this text, these bytes, or this document."""
    path = directory / name
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def zone_of(directory: Path, labels: dict[str, Any], **head: Any) -> GeoZone:
    """The zone with these labels."""
    return read_json_zone(write(directory, {**head, "data": labels}))


def errors(directory: Path, content: Any, relax: bool = False) -> list[str]:
    """The lines about a zone that is refused, without the path."""
    path = write(directory, content)
    with pytest.raises(ZoneError) as caught:
        read_json_zone(path, relax)
    lines = caught.value.lines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def warnings(zone: GeoZone) -> list[str]:
    """The zone's warnings, without path and place, and without the one about missing NS."""
    texts = [line.removeprefix(f"{zone.path}:").split(": ", 1)[1] for line in zone.warnings]
    return [text for text in texts if "no name servers" not in text]


def text_of(rdtype: int, record: GeoRecord) -> str:
    """A record as dnspython writes it."""
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, rdtype, record.rdata, 0, len(record.rdata))
    return rdata.to_text()


def records(zone: GeoZone, key: str, kind: str) -> list[tuple[str, int]]:
    """The records of a label and type: data and weight."""
    rdtype = dns.rdatatype.from_text(kind)
    found = zone.labels[key].records.get(rdtype, ())
    return [(text_of(rdtype, record), record.weight) for record in found]
