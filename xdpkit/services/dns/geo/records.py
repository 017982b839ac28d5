"""The shapes of each type's records, as GeoDNS reads them and as its README shows them."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from typing import Any

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import Report
from xdpkit.services.dns.geo.model import GeoRecord
from xdpkit.services.dns.geo.names import absolute
from xdpkit.services.dns.geo.presentation import PRESENTATION_TYPES, presentation_rdata
from xdpkit.services.dns.geo.values import WEIGHT_MAX, described, number, weight
from xdpkit.services.dns.zonefile.wording import IPV4, IPV6
from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, MX, NS, ROOT, SRV, A, name_text

PTR, TXT = 12, 16

# RFC 4408 section 3.1.1; withdrawn by RFC 7208.
SPF = 99

# A character-string, RFC 1035 section 3.3.
STRING_MAX = 255

# The largest RDATA, RFC 1035 section 3.2.1.
RDATA_MAX = 0xFFFF

# Bounds and default of a 16-bit field.
_U16 = (0, 0xFFFF, 0)

# What a group of health files is called: it becomes a file's name.
_HEALTH = re.compile(r"[^/\0.][^/\0]*/.+", re.DOTALL)

_ESCAPE = re.compile(rb"\\(?:([0-9]{3})|(.)|$)", re.DOTALL)

Item = tuple[JsonPath, Any]
Parsed = tuple[bytes, Any, str] | None
"""RDATA, the weight as it is written, and the default key of its health."""


class RecordReader:
    """Reads the records of one zone into wire format."""

    def __init__(self, report: Report, origin: bytes) -> None:
        self.report, self.origin = report, origin

    def read(self, path: JsonPath, key: str, value: Any, health_file: str) -> tuple[GeoRecord, ...]:
        """The records of a type; ``health_file`` is the label's, or empty."""
        parse = _PARSERS.get(key, RecordReader._presentation)
        plain = _plain_address(key, health_file)
        found = []
        for at, item in self._items(path, key, value):
            if plain and (record := plain(item)):
                found.append(record)
                continue
            parsed = parse(self, at, key, item)
            if parsed is None:
                continue
            rdata, written, default = parsed
            if len(rdata) > RDATA_MAX:
                self.report.wrong(at, f"{key}: {len(rdata)} bytes: at most {RDATA_MAX} fit")
                continue
            weight_at = (*at, "weight" if isinstance(item, dict) else 1)
            health = self._health(at, item, health_file, default)
            found.append(GeoRecord(rdata, weight(self.report, weight_at, written), health))
        return tuple(found)

    def _items(self, path: JsonPath, key: str, value: Any) -> Iterator[Item]:
        if isinstance(value, list):
            yield from (((*path, index), item) for index, item in enumerate(value))
        elif key == "ns" and isinstance(value, dict):
            # GeoDNS reads names and ignores their addresses.
            yield from (((*path, name), name) for name in value)
        elif type(value) in _LONE.get(key, (str, dict)):
            yield path, value
        else:
            self.report.wrong(path, f"{key}: {described(value)}: write {_FORMS.get(key, _TEXTS)}")

    def _wrong(self, path: JsonPath, key: str, value: Any) -> None:
        self.report.wrong(path, f"{key}: {described(value)}: write {_FORMS.get(key, _TEXTS)}")

    def _missing(self, path: JsonPath, key: str, field: str) -> None:
        self.report.wrong(path, f'{key}: "{field}" is missing: write {_FORMS[key]}')

    def _name(self, path: JsonPath, key: str, value: Any, origin: bytes) -> bytes | None:
        if not isinstance(value, str):
            self._wrong(path, key, value)
            return None
        try:
            return absolute(value, origin)
        except ValueError as error:
            self.report.wrong(path, f"{key}: {quoted(value)} {error}")
            return None

    def _pair(self, path: JsonPath, key: str, item: Any, *names: str) -> tuple[JsonPath, Any, Any]:
        """The place of a value, the value, and its weight, of ``[value, weight]`` or an object."""
        if isinstance(item, list) and 1 <= len(item) <= 2:
            return (*path, 0), item[0], item[1] if len(item) == 2 else None
        if isinstance(item, dict):
            name = next((name for name in (*names, key) if item.get(name) is not None), None)
            if name is not None:
                return (*path, name), item[name], item.get("weight")
        return path, None, None

    def _address(self, path: JsonPath, key: str, item: Any) -> Parsed:
        at, text, written = self._pair(path, key, item, "ip")
        if not isinstance(text, str):
            if text is None and isinstance(item, dict):
                self._missing(path, key, "ip")
            else:
                self._wrong(at, key, item if text is None else text)
            return None
        family = socket.AF_INET if key == "a" else socket.AF_INET6
        try:
            rdata = socket.inet_pton(family, text)
        except (OSError, ValueError):
            self.report.wrong(at, f"{key}: {quoted(text)} {IPV4 if key == 'a' else IPV6}")
            return None
        return rdata, written, socket.inet_ntop(family, rdata)

    def _pointer(self, path: JsonPath, key: str, item: Any) -> Parsed:
        at, text, written = (
            (path, item, None) if isinstance(item, str) else self._pair(path, key, item)
        )
        if text is None and isinstance(item, dict):
            self._missing(path, key, key)
            return None
        # GeoDNS completes a CNAME with the zone, but not a PTR.
        origin = self.origin if key == "cname" else ROOT
        rdata = self._name(at, key, item if text is None else text, origin)
        return None if rdata is None else (rdata, written, "")

    def _ns(self, path: JsonPath, key: str, item: Any) -> Parsed:
        rdata = self._name(path, key, item, ROOT)
        return None if rdata is None else (rdata, None, "")

    def _mx(self, path: JsonPath, key: str, item: Any) -> Parsed:
        if not isinstance(item, dict):
            self._wrong(path, key, item)
            return None
        name = self._field_name(path, key, item, "mx", ROOT)
        preference = self._fields(path, item, "preference")
        if name is None:
            return None
        return preference + name, item.get("weight"), name_text(name)

    def _srv(self, path: JsonPath, key: str, item: Any) -> Parsed:
        if not isinstance(item, dict):
            self._wrong(path, key, item)
            return None
        name = self._field_name(path, key, item, "target", self.origin)
        fields = self._fields(path, item, "priority", "srv_weight", "port")
        return None if name is None else (fields + name, None, "")

    def _field_name(
        self, path: JsonPath, key: str, item: dict[str, Any], field: str, origin: bytes
    ) -> bytes | None:
        """The name that an object cannot be without."""
        if item.get(field) is None:
            self._missing((*path, field), key, field)
            return None
        return self._name((*path, field), key, item[field], origin)

    def _fields(self, path: JsonPath, item: dict[str, Any], *names: str) -> bytes:
        """16-bit fields of an object, 0 where they are absent."""
        found = [
            0 if item.get(name) is None else number(self.report, (*path, name), item[name], *_U16)
            for name in names
        ]
        return b"".join(value.to_bytes(2, "big") for value in found)

    def _text(self, path: JsonPath, key: str, item: Any) -> Parsed:
        text, written = item, None
        if isinstance(item, dict):
            text, written = item.get(key), item.get("weight")
            text, path = ("", path) if text is None else (text, (*path, key))
        strings = text if isinstance(text, list) else [text]
        if not strings or not all(isinstance(string, str) for string in strings):
            self._wrong(path, key, text)
            return None
        if not any(strings):
            self.report.doubt(path, f"{key}: an empty text, which is left out: remove it")
            return None
        try:
            rdata = b"".join(map(_character_strings, strings))
        except ValueError as error:
            self.report.wrong(path, f"{key}: {quoted(text)} {error}")
            return None
        return rdata, written, ""

    def _presentation(self, path: JsonPath, key: str, item: Any) -> Parsed:
        rdata = presentation_rdata(self.report, path, key, item, self.origin)
        written = item.get("weight") if isinstance(item, dict) else None
        return None if rdata is None else (rdata, written, "")

    def _health(self, path: JsonPath, item: Any, file: str, default: str) -> str:
        """Which status a record has."""
        key = item.get("health") if isinstance(item, dict) else None
        if key is None:
            return f"{file}/{default}" if file and default else ""
        path = (*path, "health")
        if not isinstance(key, str) or not key:
            self.report.wrong(path, f"health: {described(key)}: write FILE/KEY of a status file")
        elif _HEALTH.fullmatch(key):
            return key
        elif file and "/" not in key:
            return f"{file}/{key}"
        else:
            reason = "no status is of that name, so the record counts as healthy: write FILE/KEY"
            self.report.doubt(path, f"health: {quoted(key)}: {reason}")
        return ""


def _character_strings(text: str) -> bytes:
    """The character-strings of a text: pieces of 255 bytes, escapes as in a master file.

    Raises ValueError with the reason.
    """
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair: write the character itself") from None
    if b"\\" in data:
        data = _ESCAPE.sub(_unescaped, data)
    pieces = [data[at : at + STRING_MAX] for at in range(0, len(data), STRING_MAX)] or [b""]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is not None and int(found[1]) <= STRING_MAX:
        return bytes([int(found[1])])
    if found[2] is None:
        raise ValueError(r"has an invalid escape: write \DDD up to 255, or \\ for a backslash")
    return found[2]


def _plain_address(key: str, health_file: str) -> Callable[[Any], GeoRecord | None] | None:
    """Reads ``[address, weight]``, and leaves whatever is not right to others.

    A pool has tens of thousands of them. None for other types.
    """
    if key not in ("a", "aaaa"):
        return None
    family = socket.AF_INET if key == "a" else socket.AF_INET6

    def plain(item: Any) -> GeoRecord | None:
        # Not isinstance: True is an int to Python.
        if type(item) is not list or len(item) != 2 or type(item[1]) is not int:
            return None
        text, weight = item
        if type(text) is not str or not 0 <= weight <= WEIGHT_MAX:
            return None
        try:
            rdata = socket.inet_pton(family, text)
        except (OSError, ValueError):
            return None
        health = f"{health_file}/{socket.inet_ntop(family, rdata)}" if health_file else ""
        return GeoRecord(rdata, weight, health)

    return plain


RECORD_TYPES = {
    "a": A,
    "aaaa": AAAA,
    "cname": CNAME,
    "mx": MX,
    "ns": NS,
    "ptr": PTR,
    "spf": SPF,
    "srv": SRV,
    "txt": TXT,
    **PRESENTATION_TYPES,
}
"""The types by the keys of a label."""

_PARSERS: dict[str, Callable[[RecordReader, JsonPath, str, Any], Parsed]] = {
    "a": RecordReader._address,
    "aaaa": RecordReader._address,
    "cname": RecordReader._pointer,
    "mx": RecordReader._mx,
    "ns": RecordReader._ns,
    "ptr": RecordReader._pointer,
    "spf": RecordReader._text,
    "srv": RecordReader._srv,
    "txt": RecordReader._text,
}

# What may stand for a list of one.
_LONE: dict[str, tuple[type, ...]] = {
    "a": (),
    "aaaa": (),
    "cname": (str,),
    "mx": (dict,),
    "ns": (str,),
    "ptr": (str,),
    "spf": (str,),
    "srv": (dict,),
    "txt": (str,),
}

_TEXTS = "a text as in a master file, an object, or an array of them"
_FORMS = {
    "a": '[["192.0.2.1", WEIGHT], ...]',
    "aaaa": '[["2001:db8::1", WEIGHT], ...]',
    "cname": '"name", or [["name", WEIGHT], ...]',
    "mx": '[{"mx": "mail.example.net.", "preference": 10}, ...]',
    "ns": '["ns1.example.net.", ...]',
    "ptr": '[["host.example.net."], ...]',
    "spf": '"text", or [{"spf": "text", "weight": WEIGHT}, ...]',
    "srv": '[{"target": "host", "port": 5060, "priority": 0, "srv_weight": 0}, ...]',
    "txt": '"text", [["first part", "second part"], ...] or [{"txt": "text", "weight": WEIGHT}]',
}
