"""Reads one of GeoDNS's JSON zones, and refuses what cannot be served correctly."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from xdpkit.config.geo import HOSTS_MAX, MAX_HOSTS
from xdpkit.config.toml_document import nearest, quoted
from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import ZONE, JsonDocument, Report, text_of
from xdpkit.services.dns.geo.model import AliasTarget, GeoRecord, GeoZone, Label
from xdpkit.services.dns.geo.names import NAME_MAX, above, absolute, key_wire, label_key
from xdpkit.services.dns.geo.records import RECORD_TYPES, RecordReader
from xdpkit.services.dns.geo.targets import (
    DEFAULT_TARGETING,
    Targeting,
    parse_targeting,
    split_target,
)
from xdpkit.services.dns.geo.values import WEIGHT_MAX, described, flag, number, string, weight
from xdpkit.services.dns.geo.zone_checks import check_labels, delegations
from xdpkit.services.dns.zonefile.records import TTL_MAX
from xdpkit.services.dns.zonefile.sources import Reading, modified_ns
from xdpkit.services.dns.zonefile.zone import NS
from xdpkit.services.dns.zonefile.zone_name import json_zone_name

# GeoDNS's default.
TTL = 120

_SETTINGS = ("ttl", "max_hosts", "closest", "health", "alias")


def read_json_zone(
    path: Path,
    relax: bool = False,
    reading: Reading | None = None,
    max_hosts: int = MAX_HOSTS,
) -> GeoZone:
    """Reads and checks one JSON zone; ``relax`` allows trailing commas and # comments.

    ``max_hosts`` is that of a zone without one.
    ``reading`` records what was opened. Raises ZoneError with everything that is wrong, each with
    line and column.
    """
    origin = json_zone_name(path)
    reading = reading or Reading()
    try:
        file = reading.open(path, zone=True)
    except OSError as error:
        raise ZoneError(path, f"cannot be read: {error.strerror}") from None
    with closing(file):
        text = text_of(path, file.data)
    stat = next(each.stat for each in reading.sources if each.path == str(path.absolute()))
    modified = modified_ns(stat) // 1_000_000_000 if stat else 0
    document = JsonDocument(path, text, relax, ZONE)
    zone = parse_zone(document, origin, modified, max_hosts)
    # Several times what the zone takes; for errors the text is enough.
    document.data = None
    return zone


def parse_zone(
    document: JsonDocument, origin: bytes, modified: int, max_hosts: int = MAX_HOSTS
) -> GeoZone:
    """The zone in a document; ``modified`` is its file's time in seconds. Raises ZoneError."""
    report = Report()
    zone = document.data
    if not isinstance(zone, dict):
        report.wrong((), f"{described(zone)}: a zone is an object: write {{...}}")
        report.check(document)
    head = _Head(report, zone, origin, modified, max_hosts)
    labels = _Labels(report, head, origin).read(zone.get("data"))
    names = _names(labels, head.targeting)
    check_labels(report, labels, names, head.targeting)
    apex_ns = labels[""].records.get(NS, ()) if "" in labels else ()
    primary = apex_ns[0].rdata if apex_ns else _below(b"ns", origin)
    return GeoZone(
        origin=origin,
        path=document.path,
        ttl=head.ttl,
        serial=head.serial,
        contact=head.contact,
        primary=primary,
        max_hosts=head.max_hosts,
        closest=head.closest,
        targeting=head.targeting,
        labels=labels,
        names=names,
        cuts=delegations(labels, head.targeting),
        warnings=report.check(document),
        document=document,
    )


class _Head:
    """The keys of the zone as a whole. Unknown ones are comments."""

    def __init__(
        self,
        report: Report,
        zone: Mapping[str, Any],
        origin: bytes,
        modified: int,
        max_hosts: int,
    ) -> None:
        given = {key: value for key, value in zone.items() if value is not None}

        def integer(key: str, low: int, high: int, default: int) -> int:
            return number(report, (key,), given.get(key, default), low, high, default)

        self.ttl = integer("ttl", 0, TTL_MAX, TTL)
        self.serial = integer("serial", 0, 0xFFFFFFFF, modified & 0xFFFFFFFF)
        self.max_hosts = integer("max_hosts", 1, HOSTS_MAX, max_hosts)
        self.closest = "closest" in given and flag(report, ("closest",), given["closest"])
        self.contact = self._contact(report, given.get("contact"), origin)
        self.targeting = self._targeting(report, given.get("targeting"))
        for key, known in (("data", "labels"), ("logging", "settings of loggers")):
            if not isinstance(given.get(key, {}), dict):
                reason = f"{key}: {described(given[key])}: write an object of {known}"
                report.wrong((key,), reason)

    def _contact(self, report: Report, value: Any, origin: bytes) -> bytes:
        if value is None:
            return _below(b"hostmaster", origin)
        text = string(report, ("contact",), value, 'a name, as in "hostmaster.example.com"')
        if text is None:
            return origin
        if "@" in text:
            # A mail address: RFC 1035 section 8.
            local, _, domain = text.partition("@")
            text = f"{_escaped_dots(local)}.{domain}"
        try:
            return absolute(text)
        except ValueError as error:
            report.wrong(("contact",), f"contact: {quoted(value)} {error}")
        return origin

    def _targeting(self, report: Report, value: Any) -> Targeting:
        if value is None:
            return DEFAULT_TARGETING
        text = string(report, ("targeting",), value, 'words, as in "@ country continent"')
        if text is None:
            return DEFAULT_TARGETING
        try:
            return parse_targeting(text)
        except ValueError as error:
            report.wrong(("targeting",), f"targeting: {error}")
        return DEFAULT_TARGETING


class _Labels:
    """Reads the labels of ``data``."""

    def __init__(self, report: Report, head: _Head, origin: bytes) -> None:
        self.report, self.head, self.origin = report, head, origin
        self.records = RecordReader(report, origin)

    def read(self, data: Any) -> dict[str, Label]:
        """By key; what is wrong with them is reported."""
        labels: dict[str, Label] = {}
        for written, value in (data if isinstance(data, dict) else {}).items():
            place: JsonPath = ("data", written)
            if self.report.full:
                break
            try:
                key = label_key(written)
                wire = key_wire(key, self.origin)
            except ValueError as error:
                self.report.wrong(place, f"the label {quoted(written)} {error}", at_key=True)
                continue
            if not isinstance(value, dict):
                what = f"{described(value)}: write an object of record types, {{}} for none"
                self.report.wrong(place, f"the label {quoted(written)}: {what}")
            elif key in labels:
                other = quoted(labels[key].place[1])
                reason = (
                    f"the label {quoted(written)} is the same name as {other}: put them together"
                )
                self.report.wrong(place, reason, at_key=True)
            else:
                labels[key] = self._label(place, key, wire, value)
        return labels

    def _label(self, place: JsonPath, key: str, wire: bytes, value: dict[str, Any]) -> Label:
        given = {name: each for name, each in value.items() if each is not None}
        health = self._health((*place, "health"), given.get("health"))
        records: dict[int, tuple[GeoRecord, ...]] = {}
        for name, each in given.items():
            path = (*place, name)
            if (rdtype := RECORD_TYPES.get(name)) is not None:
                if found := self.records.read(path, name, each, health):
                    records[rdtype] = self._distinct(path, name, found)
            elif name not in _SETTINGS:
                hint = nearest(name, (*RECORD_TYPES, *_SETTINGS))
                reason = f"unknown key {quoted(name)} is left out: {hint}"
                self.report.doubt(path, reason, at_key=True)
        head, report = self.head, self.report
        hosts, closest = given.get("max_hosts", head.max_hosts), given.get("closest", head.closest)
        return Label(
            key=key,
            wire=wire,
            ttl=number(report, (*place, "ttl"), given.get("ttl", 0), 0, TTL_MAX, 0),
            max_hosts=number(report, (*place, "max_hosts"), hosts, 1, HOSTS_MAX, 1),
            closest=flag(report, (*place, "closest"), closest),
            aliases=self._aliases((*place, "alias"), given.get("alias")),
            records=records,
            place=place,
        )

    def _distinct(
        self, path: JsonPath, name: str, found: tuple[GeoRecord, ...]
    ) -> tuple[GeoRecord, ...]:
        """The records, each once: RFC 2181 section 5. The weights of equal ones add up."""
        first: dict[bytes, GeoRecord] = {}
        for index, record in enumerate(found):
            if (before := first.get(record.rdata)) is not None:
                reason = f"{name}: the same record a second time: their weights are added up"
                self.report.doubt((*path, index), reason)
                total = min(before.weight + record.weight, WEIGHT_MAX)
                record = GeoRecord(before.rdata, total, before.health)
            first[record.rdata] = record
        return tuple(first.values())

    def _health(self, path: JsonPath, value: Any) -> str:
        """The file that has the status of a label's records; empty: of those that name one."""
        file = value.get("file") if isinstance(value, dict) else value
        if value is None or (isinstance(value, dict) and file is None):
            if value is not None:
                reason = 'health: no status file, so it has no effect: write {"file": "NAME"}'
                self.report.doubt(path, reason)
            return ""
        if not isinstance(file, str) or not file or "/" in file or file.startswith("."):
            self.report.wrong(path, f'health: {described(file)}: write {{"file": "NAME"}}')
            return ""
        return file

    def _aliases(self, path: JsonPath, value: Any) -> tuple[AliasTarget, ...]:
        """One label, or several with weights."""
        items = value if isinstance(value, list) else [] if value is None else [value]
        found = []
        for index, item in enumerate(items):
            at = (*path, index) if isinstance(value, list) else path
            pair = item if isinstance(item, list) and 1 <= len(item) <= 2 else [item]
            if not isinstance(pair[0], str):
                reason = f'alias: {described(item)}: write "label", or [["label", WEIGHT], ...]'
                self.report.wrong(at, reason)
                continue
            try:
                key = label_key(pair[0])
            except ValueError as error:
                self.report.wrong(at, f"alias: {quoted(pair[0])} {error}")
                continue
            written = pair[1] if len(pair) == 2 else None
            found.append(AliasTarget(key, weight(self.report, (*at, 1), written)))
        return tuple(found)


def _names(labels: Mapping[str, Label], targeting: Targeting) -> frozenset[str]:
    """All names that exist: with those above labels, and those that only variants have."""
    names = {""}
    for key in labels:
        split = split_target(key, targeting)
        for name in (key, split[0] if split else ""):
            # Those above a name that is there are there, too.
            while name not in names:
                names.add(name)
                name = above(name)
    return frozenset(names)


def _below(label: bytes, origin: bytes) -> bytes:
    """A name in the zone, or the zone's if there is no room for one."""
    name = bytes([len(label)]) + label + origin
    return name if len(name) <= NAME_MAX else origin


def _escaped_dots(text: str) -> str:
    return text.replace(".", "\\.")
