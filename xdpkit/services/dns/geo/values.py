"""Numbers, texts and weights of a JSON zone: checked, or reported with what is expected."""

from __future__ import annotations

import re
from typing import Any

from xdpkit.config.toml_document import quoted
from xdpkit.services.dns.geo.json_place import JsonPath
from xdpkit.services.dns.geo.json_text import Report

# An unsigned 32-bit number: so much fits the tables that records are drawn from.
WEIGHT_MAX = 0xFFFFFFFF

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")

_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a boolean"),
    ((int, float), "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


def described(value: object) -> str:
    """A value, and what it is."""
    if value is None:
        return "null"
    kind = next(name for kinds, name in _KINDS if isinstance(value, kinds))
    if isinstance(value, list | dict):
        return kind
    return f"{quoted(value)}, {kind}"


def number(
    report: Report,
    path: JsonPath,
    value: Any,
    low: int,
    high: int,
    default: int,
    name: str = "",
) -> int:
    """A whole number, also as a string, within inclusive bounds.

    ``name`` is what errors call it, if that is not its key.
    """
    name = name or _key(path)
    # True is an int to Python.
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        found = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, float) and value.is_integer():
        found = int(value)
    else:
        report.wrong(path, f"{name}: {described(value)}: write a whole number")
        return default
    if not low <= found <= high:
        reason = f"{quoted(value)} is not within {low} to {high}: write a number that is"
        report.wrong(path, f"{name}: {reason}")
        return default
    return found


def weight(report: Report, path: JsonPath, value: Any) -> int:
    """The weight of a record; absent, it is 0."""
    return 0 if value is None else number(report, path, value, 0, WEIGHT_MAX, 0, "weight")


def string(report: Report, path: JsonPath, value: Any, form: str = "a string") -> str | None:
    """A text."""
    if isinstance(value, str):
        return value
    report.wrong(path, f"{_key(path)}: {described(value)}: write {form}")
    return None


def flag(report: Report, path: JsonPath, value: Any) -> bool:
    """A boolean, and nothing that means one."""
    if isinstance(value, bool):
        return value
    report.wrong(path, f"{_key(path)}: {described(value)}: write true or false")
    return False


def _key(path: JsonPath) -> str:
    """The innermost key of a path."""
    return next((part for part in reversed(path) if isinstance(part, str)), "the document")
