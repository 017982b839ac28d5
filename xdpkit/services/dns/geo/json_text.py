"""A JSON file, parsed, and errors about it with file:line:column.

``json.loads`` reads it; only when something is wrong is the text gone through for the places.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xdpkit.config.toml_document import quoted
from xdpkit.config.toml_location import location_of
from xdpkit.errors import ERRORS_MAX, ConfigError, ZoneError
from xdpkit.services.dns.geo.json_place import JsonPath, Place, places, relaxed, token_at
from xdpkit.services.dns.zonefile.error_list import zone_error

# Nesting at which Python's own reader is asked no more; a zone has six levels.
DEEP = 64

# Not JSON (RFC 8259 section 6), but Python reads them.
_CONSTANTS = ("NaN", "Infinity", "-Infinity")

# Python refuses to convert longer ones; none here has more than ten.
_LONG_NUMBER = re.compile(r"-?\d{4301,}")


class Form(NamedTuple):
    """How errors name what a document should be."""

    whole: str
    key: str
    """A key that it may have."""
    relaxing: str = ""
    """What allows trailing commas and # comments."""


ANY_OBJECT = Form("an object", "KEY")
ZONE = Form("a zone", "ttl", "[dns.geo] relaxed")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the value at a path, or about its key."""

    path: JsonPath
    reason: str
    at_key: bool = False


class JsonDocument:
    """A JSON text, parsed. With ``relax``, trailing commas and # comments are no errors.

    Raises ZoneError, located, for text that is not JSON, or has a key twice in an object.
    """

    def __init__(self, path: Path, text: str, relax: bool = False, form: Form = ANY_OBJECT) -> None:
        self.path = path
        self._text = relaxed(text) if relax else text
        self._suspect = False
        try:
            self.data: Any = json.loads(
                self._text, object_pairs_hook=self._object, parse_constant=self._constant
            )
        except json.JSONDecodeError as error:
            raise self._error(*_syntax(self._text, error, relax, form)) from None
        except (ValueError, RecursionError) as error:
            raise self._unreadable(error) from None
        if self._suspect and (found := self._not_json()):
            raise zone_error(path, found)

    @property
    def size(self) -> int:
        """Characters of the text."""
        return len(self._text)

    def errors(self, problems: Sequence[Problem]) -> list[ZoneError]:
        """The problems as errors, each with line and column: of what is not there, where it would
        belong.
        """
        wanted = {each.path[:size] for each in problems for size in range(len(each.path) + 1)}
        found: dict[JsonPath, Place] = {}
        for place in places(self._text) if wanted else ():
            if place.path in wanted:
                found[place.path] = place
                if len(found) == len(wanted):
                    break
        return [self._located(problem, found) for problem in problems]

    def _located(self, problem: Problem, found: Mapping[JsonPath, Place]) -> ZoneError:
        path = problem.path
        while path and path not in found:
            path = path[:-1]
        place = found.get(path)
        if place is None:
            return self._error(0, problem.reason)
        at_key = problem.at_key and path == problem.path
        return self._error(place.key if at_key else place.value, problem.reason)

    def _error(self, offset: int, reason: str) -> ZoneError:
        return ZoneError(self.path, reason, *location_of(self._text, offset))

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self._suspect |= len(made) != len(pairs)
        return made

    def _constant(self, _: str) -> None:
        self._suspect = True

    def _not_json(self) -> list[ZoneError]:
        """Keys that are there twice, and numbers that are none."""
        found: list[ZoneError] = []
        seen: dict[JsonPath, int] = {}
        for place in places(self._text):
            before = seen.setdefault(place.path, place.key)
            if before != place.key:
                line, _ = location_of(self._text, before)
                reason = (
                    f"{quoted(place.path[-1])} is a second time in the same object (first in line"
                    f" {line}): only one of them would count; put them together, or remove one"
                )
                found.append(self._error(place.key, reason))
            elif place.text in _CONSTANTS:
                reason = f"{place.text} is not a number in JSON: write one"
                found.append(self._error(place.value, reason))
            if len(found) == ERRORS_MAX:
                break
        return found

    def _unreadable(self, error: Exception) -> ZoneError:
        for place in places(self._text):
            if len(place.path) >= DEEP and isinstance(error, RecursionError):
                reason = f"nested more than {DEEP} deep: is a bracket never closed?"
                return self._error(place.value, reason)
            if _LONG_NUMBER.match(place.text):
                return self._error(place.value, f"a number of {len(place.text)} digits: shorten it")
        return ZoneError(self.path, f"cannot be read as JSON ({error}): fix it", 1)


class Report:
    """Collects what is wrong with a document, and what looks wrong."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.doubts: list[Problem] = []

    @property
    def full(self) -> bool:
        """Whether there are as many problems as anybody wants to hear of."""
        return len(self.problems) >= ERRORS_MAX

    def wrong(self, path: JsonPath, reason: str, at_key: bool = False) -> None:
        """The document cannot be used."""
        if not self.full:
            self.problems.append(Problem(path, reason, at_key))

    def doubt(self, path: JsonPath, reason: str, at_key: bool = False) -> None:
        """It can, but this may not be what its author meant."""
        if len(self.doubts) < ERRORS_MAX:
            self.doubts.append(Problem(path, reason, at_key))

    def check(self, document: JsonDocument) -> tuple[str, ...]:
        """Raises ZoneError with all that is wrong; returns the doubts, with their places."""
        if self.problems:
            raise zone_error(document.path, document.errors(self.problems))
        return texts(document.errors(self.doubts))


def texts(errors: Iterable[ConfigError]) -> tuple[str, ...]:
    """The errors as lines."""
    return tuple(line for error in errors for line in error.lines())


def text_of(path: Path, data: bytes) -> str:
    """A file's text, with \\n at the end of each line.

    Raises ZoneError, located, for bytes that are not UTF-8.
    """
    try:
        return _lines(data)
    except UnicodeDecodeError as error:
        before = _lines(error.object[: error.start])
        byte = error.object[error.start]
        line, column = location_of(before, len(before))
        reason = f"not UTF-8: byte 0x{byte:02x}; save the file as UTF-8"
        raise ZoneError(path, reason, line, column) from None


def _lines(data: bytes) -> str:
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


# What json says, and what is meant of the token that it found: {0}.
_EXPECTED = (
    (
        "Expecting ',' delimiter",
        "{0} where a comma or a closing bracket belongs: add one before it",
    ),
    ("Expecting ':' delimiter", "{0} where a colon belongs: write KEY: VALUE"),
    ("Expecting property name", '{0} where a key belongs: write it in double quotes, as in "{1}"'),
    ("Unterminated string", "a string that is not closed: write the missing quote"),
    ("Invalid control character", "a control character in a string: write \\n, \\t or \\u00XX"),
    ("Invalid \\", "an invalid escape in a string: write \\\\ for a backslash"),
    ("Extra data", "{0} after the end of the document: remove it, or an early closing bracket"),
    ("Unexpected UTF-8 BOM", "a byte order mark: save the file as UTF-8 without one"),
    ("Expecting value", "{0} where a value belongs: write one"),
)


def _syntax(text: str, error: json.JSONDecodeError, relax: bool, form: Form) -> tuple[int, str]:
    """Where the text stops being JSON; what is there, what was expected, and the fix."""
    before = text[: error.pos].rstrip()
    found = token_at(text, error.pos)
    if not text.strip():
        return 0, f"the file is empty: write {form.whole}, {{}} at least"
    allow = f", or set {form.relaxing}" if form.relaxing and not relax else ""
    if before.endswith(",") and found in ("}", "]"):
        return len(before) - 1, f"a comma before {found}: remove it{allow}"
    if text[error.pos : error.pos + 1] == "," and token_at(text, error.pos + 1) in ("}", "]"):
        after = token_at(text, error.pos + 1)
        return error.pos, f"a comma before {after}: remove it{allow}"
    if found.startswith("#"):
        return error.pos, f"a comment: JSON has none: remove it{allow}"
    if found.startswith(("//", "/*")):
        why = "one begins with # here" if relax else "JSON has none"
        return error.pos, f"a comment: {why}: remove it"
    what = quoted(found.strip('"')) if found else "the end of the file"
    for said, meant in _EXPECTED:
        if error.msg.startswith(said):
            return error.pos, meant.format(what, form.key)
    return error.pos, f"{what} is not JSON ({error.msg}): fix it"
