"""The simple lines that make up most of a large zone, read without dnspython's tokenizer.

A plain line is a complete record of a common type, without quotes, escapes or parentheses. All
others are left to dnspython, errors included, so that only one parser decides what is valid.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TextIO

from xdpkit.services.dns.zonefile.zone import AAAA, CNAME, NS, A

PTR = 12
TYPES = {"A": A, "AAAA": AAAA, "NS": NS, "CNAME": CNAME, "PTR": PTR}

NAME_MAX, LABEL_MAX = 255, 63

_PLAIN = re.compile(
    r"(@|[-\w*.]+)?[ \t]+(?:(\d{1,10})[ \t]+)?(?:IN[ \t]+)?(A|AAAA|NS|CNAME|PTR)[ \t]+"
    r"([-\w.:]+)[ \t]*(?:;.*)?\n?",
    re.ASCII | re.IGNORECASE,
)

Plain = tuple[str | None, str | None, int, str]
"""Owner (None: the previous one), TTL (None: not stated), type, RDATA."""


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


def parse_plain_line(line: str) -> Plain | None:
    """The parts of a plain line; None if the line is not plain."""
    match = _PLAIN.fullmatch(line)
    if match is None:
        return None
    owner, ttl, kind, rdata = match.groups()
    return owner, ttl, TYPES[kind.upper()], rdata


def wire_name(text: str, origin: bytes) -> bytes | None:
    """A name in wire format, under ``origin`` if it is relative; None if it is not a plain one."""
    if text == "@":
        return origin
    labels = text.encode().split(b".")
    end = origin
    if not labels[-1]:
        labels.pop()
        end = b"\0"
    name = b"".join([bytes((len(label),)) + label for label in labels if label]) + end
    whole = all(0 < len(label) <= LABEL_MAX for label in labels)
    return name if whole and labels and len(name) <= NAME_MAX else None


def wire_rdata(kind: int, text: str, origin: bytes) -> bytes | None:
    """RDATA in wire format; None if it is not plain."""
    if kind not in (A, AAAA):
        return None if ":" in text or "*" in text else wire_name(text, origin)
    try:
        return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, text)
    except OSError:
        return None
