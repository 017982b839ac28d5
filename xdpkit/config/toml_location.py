"""The location of each key and value in a TOML file, which tomllib does not provide.

tomllib has already parsed the text, so this scanner may assume that it is valid: it follows the
grammar just far enough to give the line and column of what ``config`` rejects.
"""

from __future__ import annotations

import re
import tomllib
from typing import NamedTuple

# Names of tables and keys, indexes of array items; the elements of [[x]] share one path.
TomlPath = tuple[str | int, ...]

_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
# In this order: three quotes also start with one, and up to two quotes may precede the closing
# three. A date may contain one space. Any other scalar ends at the next delimiter.
_SCALAR = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\d{4}-\d\d-\d\d[ ]\d\d:[^\s,\]}#]*"
    r"|[^\s,\[\]{}#\"']+",
    re.DOTALL,
)


class Location(NamedTuple):
    """A line and a column, both counted from 1, in characters, as in tomllib's own errors."""

    line: int
    column: int


def location_of(text: str, offset: int) -> Location:
    """Line and column of an offset into the text."""
    return Location(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


class Locations:
    """The locations of all keys and values of one document.

    ``keys`` and ``values`` map a path to the offset where its name or its value begins: the first,
    if the name occurs in several headers or dotted keys. Raises ValueError if the text is not TOML.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[TomlPath, int] = {}
        self.values: dict[TomlPath, int] = {}
        self._offset = 0
        self._document()

    def key(self, path: TomlPath) -> Location | None:
        """The location of the name; None for a path that is not in the document."""
        offset = self.keys.get(path)
        return None if offset is None else location_of(self.text, offset)

    def value(self, path: TomlPath) -> Location | None:
        """The location of the value, or of the name for a table, which has no value."""
        offset = self.values.get(path)
        return self.key(path) if offset is None else location_of(self.text, offset)

    def _document(self) -> None:
        table: TomlPath = ()
        self._take(_GAP)
        while self._offset < len(self.text):
            if self._skip("["):
                self._skip("[")
                self._take(_GAP)
                table = self._name(())
                self._take(_GAP)
                self._expect("]")
                self._skip("]")
            else:
                self._assignment(table)
            self._take(_GAP)

    def _assignment(self, table: TomlPath) -> None:
        path = self._name(table)
        self._take(_EQUALS)
        self._value(path)

    def _name(self, path: TomlPath) -> TomlPath:
        """Reads a bare, quoted or dotted key and records the location of each part."""
        while True:
            start = self._offset
            token = self._take(_KEY)
            quoted = token[0] in "\"'"
            path = (*path, tomllib.loads(f"key = {token}")["key"] if quoted else token)
            self.keys.setdefault(path, start)
            found = _DOT.match(self.text, self._offset)
            if found is None:
                return path
            self._offset = found.end()

    def _value(self, path: TomlPath) -> None:
        self.values.setdefault(path, self._offset)
        if self._skip("["):
            self._array(path)
        elif self._skip("{"):
            self._inline_table(path)
        else:
            self._take(_SCALAR)

    def _array(self, path: TomlPath) -> None:
        index = 0
        self._take(_GAP)
        while not self._skip("]"):
            self._value((*path, index))
            index += 1
            self._comma("]")

    def _inline_table(self, path: TomlPath) -> None:
        self._take(_GAP)
        while not self._skip("}"):
            self._assignment(path)
            self._comma("}")

    def _comma(self, end: str) -> None:
        self._take(_GAP)
        if not self.text.startswith(end, self._offset):
            self._expect(",")
            self._take(_GAP)

    def _skip(self, mark: str) -> bool:
        """Skips the mark if it is next."""
        found = self.text.startswith(mark, self._offset)
        self._offset += len(mark) if found else 0
        return found

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise self._syntax_error()

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self._offset)
        if found is None:
            raise self._syntax_error()
        self._offset = found.end()
        return found.group()

    def _syntax_error(self) -> ValueError:
        line, column = location_of(self.text, self._offset)
        return ValueError(f"not TOML at line {line}, column {column}")
