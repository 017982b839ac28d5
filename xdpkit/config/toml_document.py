"""Typed reading of a TOML file in which every error gives file:line:column, key and fix.

``Document`` is the file, ``Table`` one of its tables, read key by key. Neither knows what the keys
mean: that is up to the modules of each table.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from xdpkit.config.toml_location import Locations, TomlPath, location_of
from xdpkit.errors import ERRORS_MAX, ConfigError
from xdpkit.regular_file import read_regular

# Far above any configuration; keeps an accidental -c /dev/zero from filling memory.
_MAX_BYTES = 1 << 20

# More than a name below ip6.arpa has, which may stand in a comment. For one key tomllib needs time
# by the square of its parts: hours for one that fills a file.
_PARTS_MAX = 40
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_LONG_KEY = re.compile(rf"(?<![\w\\-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_PARTS_MAX}}}")

_TOMLLIB_LOCATION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_TYPE_NAMES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}


def quoted(value: object) -> str:
    """A value as the user may have typed it, on one line that is never long."""
    try:
        text = json.dumps(value, default=str, ensure_ascii=False)
    except (ValueError, RecursionError):
        # A hexadecimal integer of thousands of digits, tables hundreds deep.
        return "..."
    return text if len(text) <= 60 else text[:57] + "..."


def close_match(word: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant; None if none is close."""
    return next(iter(get_close_matches(word.lower(), names, n=1)), None)


def nearest(word: str, names: Iterable[str]) -> str:
    """The hint of an error: the closest valid name, or all of them if none is close."""
    names = list(names)
    close = close_match(word, names)
    return f"did you mean {quoted(close)}?" if close else f"valid: {', '.join(names)}"


class Document:
    """A TOML file, read and parsed.

    Raises ConfigError if it cannot be read, is not UTF-8, or is not TOML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = _read(path)
        if found := _LONG_KEY.search(self.text):
            reason = f"a key of more than {_PARTS_MAX} parts: shorten it"
            raise ConfigError(path, reason, *location_of(self.text, found.start()))
        try:
            self.data: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax_error(str(error)) from error
        except (ValueError, RecursionError) as error:
            # An integer of thousands of digits, arrays hundreds deep: tomllib gives no location.
            raise ConfigError(path, f"cannot be read as TOML: {error}") from error

    def error(self, path: TomlPath, reason: str, *, at_key: bool = False) -> ConfigError:
        """A ConfigError located at the value of a path, or at its name."""
        found = self._locations.key(path) if at_key else self._locations.value(path)
        return ConfigError(self.path, reason, *(found or ()))

    def table(self, name: str) -> Table:
        """The table of that name, which the file has. Raises ConfigError if it is not a table."""
        return Table(self, (), self.data).subtable(name)

    @cached_property
    def _locations(self) -> Locations:
        return Locations(self.text)

    def _syntax_error(self, text: str) -> ConfigError:
        found = _TOMLLIB_LOCATION.search(text)
        if found is None:
            return ConfigError(self.path, text)
        line, column = found.groups() if found[1] else location_of(self.text, len(self.text))
        return ConfigError(self.path, text[: found.start()], int(line), int(column))


class Table:
    """One table of a document: ``table.integer("port", 1, 65535)`` returns a checked value.

    Every reader raises ConfigError, located at the value, for a wrong type or an invalid value.
    """

    def __init__(
        self, document: Document, path: tuple[str, ...], values: Mapping[str, Any]
    ) -> None:
        self.document, self.path, self.values = document, path, values

    def subtable(self, key: str) -> Table:
        """The table that a key of this one holds. Raises ConfigError if it is not a table."""
        path = (*self.path, key)
        name, values = ".".join(path), self.values[key]
        if not isinstance(values, dict):
            reason = f"{name} is a table: write [{name}] once"
            raise self.document.error(path, reason, at_key=True)
        return Table(self.document, path, values)

    def unknown(self, keys: Collection[str]) -> list[ConfigError]:
        """An error for each key that is not among these, at its name; at most ERRORS_MAX."""
        name = ".".join(self.path)
        unknown = (key for key in self.values if key not in keys)
        reasons = {
            key: f"unknown key {quoted(key)} in [{name}]: {nearest(key, keys)}"
            for key in islice(unknown, ERRORS_MAX)
        }
        return [
            self.document.error((*self.path, key), reason, at_key=True)
            for key, reason in reasons.items()
        ]

    def error(self, key: str | tuple[str, int], reason: str) -> ConfigError:
        """A ConfigError located at a key's value, or at an item of its array: ``("queues", 1)``."""
        path = (key,) if isinstance(key, str) else key
        return self.document.error((*self.path, *path), f"{path[0]}: {reason}")

    def require(self, key: str, example: str) -> None:
        """Raises ConfigError, located at the table's header, if the key is missing."""
        if key not in self.values:
            reason = f"[{'.'.join(self.path)}] needs {key}, for example {key} = {example}"
            raise self.document.error(self.path, reason, at_key=True)

    def flag(self, key: str) -> bool:
        """A boolean; false if absent."""
        value = self.values.get(key, False)
        self._check(key, value, bool)
        return bool(value)

    def string(self, key: str) -> str:
        """A string, unchanged; empty if absent."""
        value = self.values.get(key, "")
        self._check(key, value, str)
        return str(value)

    def choice(self, key: str, valid: Collection[str]) -> str:
        """One of the valid words."""
        word = self.string(key)
        if word not in valid:
            raise self.error(key, f"unknown value {quoted(word)}: {nearest(word, valid)}")
        return word

    def integer(self, key: str, low: int, high: int, default: int = 0) -> int:
        """An integer within inclusive bounds."""
        return self._integer(key, self.values.get(key, default), low, high)

    def integers(self, key: str, low: int, high: int) -> tuple[int, ...]:
        """An array of distinct integers; empty if absent."""
        numbers: dict[int, None] = {}
        for index, number in enumerate(self._array(key)):
            self._integer((key, index), number, low, high)
            if number in numbers:
                raise self.error((key, index), f"{number} is listed twice")
            numbers[number] = None
        return tuple(numbers)

    def strings(self, key: str) -> tuple[str, ...]:
        """An array of strings; empty if absent."""
        words = self._array(key)
        for index, word in enumerate(words):
            self._check((key, index), word, str)
        return tuple(words)

    def one_or_more(self, key: str) -> list[tuple[str | tuple[str, int], str]]:
        """A string, or an array of at least one; each with its key, as ``error`` takes it."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            if not isinstance(value, str):
                kinds = f"{_TYPE_NAMES[str]} or {_TYPE_NAMES[list]}"
                raise self.error(key, f"{kinds} is needed, {_described(value)}")
            return [(key, value)]
        if not value:
            raise self.error(key, "an empty array: name at least one")
        return [((key, index), word) for index, word in enumerate(self.strings(key))]

    def _array(self, key: str) -> list[Any]:
        value = self.values.get(key, [])
        self._check(key, value, list)
        return list(value)

    def _integer(self, key: str | tuple[str, int], value: object, low: int, high: int) -> int:
        self._check(key, value, int)
        if not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"{quoted(value)} is not within {low}..{high}")
        return value

    def _check(self, key: str | tuple[str, int], value: object, kind: type) -> None:
        # Not isinstance: True is an instance of int.
        if type(value) is not kind:
            raise self.error(key, f"{_TYPE_NAMES[kind]} is needed, {_described(value)}")


def _described(value: object) -> str:
    return f"{quoted(value)} is {_TYPE_NAMES.get(type(value), 'a date or time')}"


def _read(path: Path) -> str:
    try:
        content = read_regular(path, _MAX_BYTES)
    except FileNotFoundError as error:
        raise ConfigError(path, "no such file: create it, or name another with -c") from error
    except OSError as error:
        raise ConfigError(path, f"cannot be read: {error.strerror}") from error
    raw = content.data
    _check_writers(path, content.status.st_mode)
    try:
        return raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode()
        line, column = location_of(before, len(before))
        reason = f"not UTF-8: byte 0x{raw[error.start]:02x}; save the file as UTF-8"
        raise ConfigError(path, reason, line, column) from error


def _check_writers(path: Path, mode: int) -> None:
    """What the file says is done with the rights of root: to the NIC, and with root's files."""
    if mode & stat.S_IWOTH and os.geteuid() == 0:
        reason = "every user on this machine can change it, and root obeys it"
        raise ConfigError(path, f"{reason}: chmod o-w {path}")
