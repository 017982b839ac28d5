"""Types whose records are written as in a master file, or as objects of the same fields.

GeoDNS has none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import Report
from xdpkit.services.dns.geo.values import described
from xdpkit.services.dns.zonefile.wording import FORMS

# Each type's fields in their order (the RFC of each type), and the defaults of those that may be
# left out. A * is a text, which is quoted.
_FIELDS: dict[str, dict[str, str | None]] = {
    "CAA": {"flags": "0", "tag": None, "value*": None},
    "DS": {"key_tag": None, "algorithm": None, "digest_type": None, "digest": None},
    "HTTPS": {"priority": "1", "target": ".", "params": ""},
    "NAPTR": {
        "order": "0",
        "preference": "0",
        "flags*": "",
        "service*": "",
        "regexp*": "",
        "replacement": ".",
    },
    "SSHFP": {"algorithm": None, "type": None, "fingerprint": None},
    "SVCB": {"priority": "1", "target": ".", "params": ""},
    "TLSA": {"usage": None, "selector": None, "matching_type": None, "data": None},
    "URI": {"priority": "0", "uri_weight": "0", "target*": None},
}

PRESENTATION_TYPES = {name.lower(): dns.rdatatype.from_text(name) for name in _FIELDS}
"""The types by the keys of a label."""


def presentation_rdata(
    report: Report, path: JsonPath, key: str, value: Any, origin: bytes
) -> bytes | None:
    """The RDATA of a record that is a text, or an object of its fields."""
    kind = key.upper()
    text = value
    if isinstance(value, Mapping):
        text = value.get(key)
        if text is None:
            text = _of_fields(report, path, kind, value)
        else:
            path = (*path, key)
        if text is None:
            return None
    if not isinstance(text, str):
        report.wrong(path, f'{key}: {described(text)}: write "{FORMS[kind]}"')
        return None
    zone = dns.name.from_wire(origin, 0)[0]
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, PRESENTATION_TYPES[key], text, zone, relativize=False
        )
        return rdata.to_wire()
    except (dns.exception.DNSException, ValueError, IndexError) as error:
        words = " ".join(str(error).split()) or type(error).__name__
        words = words.removeprefix("Text input is malformed.").strip()
        form = f"write {FORMS[kind]}"
        report.wrong(
            path, f"{key}: {quoted(text)} is wrong{f' ({words})' if words else ''}: {form}"
        )
    return None


def _of_fields(report: Report, path: JsonPath, kind: str, value: Mapping[str, Any]) -> str | None:
    """The text of the record that an object's fields make."""
    words = []
    for name, default in _FIELDS[kind].items():
        field = name.removesuffix("*")
        given = value.get(field)
        found = default if given is None else given
        if isinstance(found, bool) or not isinstance(found, str | int):
            what = "missing" if found is None else described(found)
            fields = ", ".join(each.removesuffix("*") for each in _FIELDS[kind])
            report.wrong(
                path, f"{kind.lower()}: {field}: {what}: write an object with {fields}, or a text"
            )
            return None
        words.append(_quoted(str(found)) if name.endswith("*") else str(found))
    return " ".join(words)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
