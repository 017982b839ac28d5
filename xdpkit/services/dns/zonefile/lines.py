"""Lines of a master file as text, whatever bytes are in its comments and quoted texts."""

from __future__ import annotations

import codecs
import re

from xdpkit._core._master_file import MasterFile

# A comment; a quoted text, whose quote may be missing; all else, as far as it goes.
_PART = re.compile(rb'(;.*)|("(?:\\.|[^"\\])*"?)|(?:\\.|[^";\\])+|\\', re.DOTALL)
_ESCAPED_BYTE = re.compile(rb"\\([\x80-\xff])")


def _as_escapes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return "".join(f"\\{byte:03}" for byte in wrong), error.end


codecs.register_error("xdpkit.dns.escapes", _as_escapes)


def as_text(line: bytes) -> str:
    """A line as UTF-8 text, in which a byte of a comment or a quoted text may be any.

    Such a byte becomes an escape, which means the same. Raises UnicodeDecodeError for one that is
    elsewhere: what a name would be in which encoding is unknown.
    """
    try:
        return line.decode()
    except UnicodeDecodeError:
        return "".join(_decoded(line, part) for part in _PART.finditer(line))


def _decoded(line: bytes, part: re.Match[bytes]) -> str:
    comment, quoted = part.groups()
    if comment is not None:
        return str(comment, errors="replace")
    if quoted is not None:
        return str(_ESCAPED_BYTE.sub(rb"\1", quoted), errors="xdpkit.dns.escapes")
    try:
        return part[0].decode()
    except UnicodeDecodeError as error:
        at = part.start() + error.start
        raise UnicodeDecodeError("utf-8", line, at, at + 1, error.reason) from None


class Lines(MasterFile):
    """A master file, whose lines are text for dnspython."""

    def decode(self, line: bytes) -> str:
        """A line, without its newline. Raises UnicodeDecodeError; see as_text()."""
        return as_text(line)
