"""The simple lines that make up most of a zone, read without dnspython's tokenizer.

A plain line is a complete record of a common type, without escapes or parentheses, a $TTL of
seconds, a comment, or blank. All others are left to dnspython, errors included, so that only one
parser decides what is valid.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TextIO

from xdpkit.services.dns.zonefile.plain_rdata import TYPES

# Printable ASCII, without what a tokenizer has a meaning for.
_WORD = r"[!#-'*-:<-\[\]-~]"
_TEXT = rf'(?:"[ !#-\[\]-~]*"|{_WORD}+)'

_PLAIN = re.compile(
    r"(@|[-\w*.]+)?[ \t]+(?:(\d{1,10})[ \t]+)?(?:IN[ \t]+)?"
    rf"(?:({'|'.join(sorted(set(TYPES) - {'TXT'}))})[ \t]+({_WORD}+(?:[ \t]+{_WORD}+)*)"
    rf"|(TXT)[ \t]+({_TEXT}(?:[ \t]+{_TEXT})*))"
    r"[ \t]*(?:;.*)?\n?",
    re.ASCII | re.IGNORECASE,
)
_OTHER = re.compile(r"(?:\$TTL[ \t]+(\d{1,10}))?[ \t]*(?:;.*)?\n?", re.ASCII | re.IGNORECASE)

Parts = tuple[str | None, str | None, str, str]
"""Owner (None: the previous one), TTL (None: not stated), type in capitals, data."""


class Lines:
    """A text file read by characters, as dnspython's tokenizer does, or by lines."""

    def __init__(self, file: TextIO) -> None:
        self._read_line: Callable[[], str] = file.readline
        self._line, self._at = "", 0

    def peek(self) -> str:
        """The rest of the line; empty at the end of the file."""
        if self._at == len(self._line):
            self._line, self._at = self._read_line(), 0
        return self._line[self._at :] if self._at else self._line

    def skip(self) -> None:
        """Skips to the end of the line."""
        self._at = len(self._line)

    def read(self, _: int) -> str:
        """One character; empty at the end of the file."""
        if self._at == len(self._line):
            self._line, self._at = self._read_line(), 0
            if not self._line:
                return ""
        self._at += 1
        return self._line[self._at - 1]


def parse_plain_line(line: str) -> Parts | None:
    """The parts of a plain record; None if the line is not one."""
    match = _PLAIN.fullmatch(line)
    if match is None:
        return None
    owner, ttl, kind, data, text, texts = match.groups()
    return owner, ttl, (kind or text).upper(), data or texts


def parse_other_line(line: str) -> str | None:
    """The seconds of a plain $TTL, "" for a blank line or a comment; None for all else."""
    match = _OTHER.fullmatch(line) if line else None
    return None if match is None else match[1] or ""
