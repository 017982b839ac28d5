"""Lines of a master file as text, whatever bytes are in them.

A byte above ASCII is itself, in a name as in a text: nobody says what encoding a file is in, and no
server asks. dnspython would make punycode of a name; it is given an escape, which means the same.
"""

from __future__ import annotations

import codecs
import re

from xdpkit._core._master_file import MasterFile

# A comment; a quoted text, whose quote may be missing; all else, as far as it goes.
_PART = re.compile(rb'(;.*)|"(?:\\.|[^"\\])*"?|(?:\\.|[^";\\])+|\\', re.DOTALL)
_ESCAPED_BYTE = re.compile(rb"\\([\x80-\xff])")

# The name of a file is no text of the zone.
_INCLUDE = re.compile(rb"[ \t]*\$INCLUDE[ \t]", re.IGNORECASE)

_HIGH = 0x80
_BACKSLASH = 0x5C

# What an escape has: a backslash and three digits.
_ESCAPE = 4


def _as_escapes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    high = error.object[error.start : error.end]
    return "".join(f"\\{byte:03}" for byte in high), error.end


codecs.register_error("xdpkit.dns.escapes", _as_escapes)


def as_text(line: bytes) -> str:
    """A line as ASCII text: bytes above are escapes, and anything in a comment."""
    if line.isascii():
        return line.decode()
    if _INCLUDE.match(line):
        return line.decode(errors="surrogateescape")
    return "".join(map(_decoded, _PART.finditer(line)))


def _decoded(part: re.Match[bytes]) -> str:
    if part[1] is not None:
        return part[1].decode(errors="replace")
    return str(_ESCAPED_BYTE.sub(rb"\1", part[0]), "ascii", "xdpkit.dns.escapes")


def column_in(line: bytes, column: int) -> int:
    """The column in a line, from 1, of what as_text() has at ``column``."""
    if line.isascii() or _INCLUDE.match(line):
        return column
    at, made = 0, 1
    while at < len(line) and made < column:
        if line[at] != _BACKSLASH or line[at + 1 : at + 2] < bytes((_HIGH,)):
            made += 1 if line[at] < _HIGH else _ESCAPE
        at += 1
    return len(line[:at].decode(errors="replace")) + 1


class Lines(MasterFile):
    """A master file, whose lines are text for dnspython."""

    def decode(self, line: bytes) -> str:
        """A line, without its newline; see as_text()."""
        return as_text(line)
