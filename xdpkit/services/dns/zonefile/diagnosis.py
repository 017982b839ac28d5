"""Everything that is wrong with a master file that was refused: each with line and column.

A good file is read once, by ``read.py``, at full speed. Only a refused one is read again, here,
by a tokenizer that remembers where each token began and a reader that goes on after a bad record.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import dns.exception
import dns.rdataclass
import dns.tokenizer
from dns.tokenizer import Token

from xdpkit.errors import ERRORS_MAX, ZoneError
from xdpkit.services.dns.zonefile.limits import TOO_LONG, BoundError
from xdpkit.services.dns.zonefile.master_file import LineSink, Reader, Tokenizer
from xdpkit.services.dns.zonefile.plain_lines import Lines
from xdpkit.services.dns.zonefile.sources import Reading
from xdpkit.services.dns.zonefile.wording import explain

# How often the text may be read again, on average, before the search for errors ends: going back
# after each of a thousand parentheses has no end in a large file. In one this short it may.
AGAIN = 4
FEW_CHARACTERS = 1 << 17

FAILURES = (ZoneError, dns.exception.DNSException, OSError, ValueError, RecursionError)


class Unending(Exception):
    """Too much was read again."""


@dataclass(frozen=True)
class Found:
    """A token, and where it begins: line and column, from 1."""

    token: Token
    line: int
    column: int


class NumberedLines(Lines):
    """The lines of a file, which stay at hand: for columns, and to go back after a parenthesis."""

    def __init__(self, text: str) -> None:
        # As a file in text mode: CR LF and CR are newlines, too.
        self.all = io.StringIO(text, newline=None).readlines()
        self._next, self._taken = 0, 0
        self._most = (1 + AGAIN) * (len(text) + FEW_CHARACTERS)
        super().__init__(io.StringIO())
        self._read_line = self._line_from_all

    def column(self) -> int:
        """The column of the next character."""
        return self._at + 1

    def before(self) -> str:
        """The line up to the next character."""
        return self._line[: self._at]

    def restart(self, number: int) -> None:
        """Continues at a line, from 1. Raises Unending if that has been done too often."""
        if self._taken > self._most:
            raise Unending
        self._next = number - 1
        self._line, self._at = "", 0

    def _line_from_all(self) -> str:
        line = self.all[self._next] if self._next < len(self.all) else ""
        self._next += 1
        self._taken += len(line)
        return line

    def read(self, size: int) -> str:
        """One character; empty at the end of the file, whose last line stays the current one."""
        line, at = self._line, self._at
        character = super().read(size)
        if not character:
            self._line, self._at = line, at
        return character


class NoPlainLines:
    """The sink of an included file: dnspython reads all of it."""

    def take_line(self, line: str) -> bool:
        """Takes none."""
        return False

    def end_plain_lines(self, at_end: bool) -> None:
        """Does nothing."""


class Tracing(Tokenizer):
    """Remembers the tokens of the current record and where they began."""

    lines: NumberedLines

    def __init__(self, text: str, path: str, sink: LineSink) -> None:
        super().__init__(io.StringIO(), Path(path), sink)
        self.lines = self.file = NumberedLines(text)
        self.found: list[Found] = []
        self._opened: list[tuple[int, int]] = []
        """Where each parenthesis is that is not closed yet."""

    def get(self, want_leading: bool = False, want_comment: bool = False) -> Token:
        if want_comment:
            self.found, self._opened = [], []
        known = self.ungotten_token is not None
        try:
            token = super().get(want_leading, want_comment)
        except dns.exception.DNSException:
            self._place_failure()
            raise
        if not known and not token.is_comment():
            self.found.append(self._placed(token))
        return token

    def _get_char(self) -> str:
        fresh = self.ungotten_char is None
        character = super()._get_char()
        if fresh and character == "(" and not self.quoting:
            self._opened.append((self.line_number, self.lines.column() - 1))
        elif fresh and character == ")" and not self.quoting and self._opened:
            self._opened.pop()
        return character

    def _here(self) -> tuple[int, int]:
        """Line and column of the next character, one that was put back included."""
        back = self.ungotten_char or ""
        if back == "\n":
            return self.line_number - 1, self.lines.column() - 1
        return self.line_number, self.lines.column() - len(back)

    def _placed(self, token: Token) -> Found:
        line, end = self._here()
        if token.is_eol():
            # Consumed: the end of the line before.
            text = self.lines.before().rstrip("\n")
            return Found(token, line - 1, len(text) + 1)
        length = len(token.value) if token.is_identifier() else 0
        if token.is_quoted_string():
            length = len(token.value) + 1
        return Found(token, line, max(1, end - length))

    def _place_failure(self) -> None:
        """Adds what the tokenizer failed at, which is no token: a quote or a parenthesis."""
        before = self.lines.before()
        if self.quoting:
            at = before.rfind('"')
            line = self.line_number - before.endswith("\n")
            self.found.append(Found(Token(dns.tokenizer.DELIMITER, "quote"), line, at + 1))
        elif self._opened:
            line, column = self._opened[-1]
            self.found.append(Found(Token(dns.tokenizer.DELIMITER, "("), line, column))
        elif before.endswith((")", "\\\n", "\\")):
            text = before.rstrip("\n")
            token = Token(dns.tokenizer.DELIMITER, text[-1])
            self.found.append(Found(token, self.line_number - before.endswith("\n"), len(text)))

    def blame_parenthesis(self) -> None:
        """Adds one that is open, if the latest token looks like the owner of another record."""
        last = self.found[-1]
        if self._opened and last.column == 1 and last.line > self._opened[-1][0]:
            token = Token(dns.tokenizer.DELIMITER, "(")
            self.found.append(Found(token, *self._opened[-1]))

    def skip_record(self) -> None:
        """Goes to the end of the current record: of its last line, if it has parentheses."""
        last = self.found[-1] if self.found else None
        depth, quoted = self.multiline, self.quoting
        at_end = self.lines.before().endswith("\n") and self.ungotten_char is None
        self._reset()
        if last is None:
            self._skip_line(0, False)
        elif last.token.is_eol_or_eof():
            # Read already; an end of the file comes again.
            pass
        elif _is_delimiter(last.token, "("):
            self._skip_to_owner(last.line)
        elif not (at_end and (quoted or _is_delimiter(last.token, "\\"))):
            depth = self._skip_line(depth, quoted)
            if depth > 0 and self._opened:
                self._skip_to_owner(self._opened[-1][0])

    def _reset(self) -> None:
        self.ungotten_token = None
        self.multiline, self.quoting = 0, False
        self.delimiters = dns.tokenizer._DELIMITERS

    def _skip_line(self, depth: int, quoted: bool) -> int:
        """Skips to the end of the line that closes all parentheses; returns how many are left."""
        comment = False
        while character := self._get_char():
            if character == "\n":
                if depth <= 0:
                    break
                quoted = comment = False
            elif character == '"' and not comment:
                quoted = not quoted
            elif character == "\\" and not comment:
                self._get_char()
            elif character == ";" and not quoted:
                comment = True
            elif character in "()" and not quoted and not comment:
                depth += 1 if character == "(" else -1
        return depth

    def _skip_to_owner(self, number: int) -> None:
        """Goes back to the first line after ``number`` that is no continuation: it has an owner."""
        self.ungotten_char, self.eof = None, False
        number += 1
        while number <= len(self.lines.all) and self.lines.all[number - 1][0] in " \t\n;)":
            number += 1
        self.lines.restart(number)
        self.line_number = self.line = number


def _is_delimiter(token: Token | None, text: str) -> bool:
    return token is not None and token.is_delimiter() and bool(token.value == text)


class TracingReader(Reader):
    """dnspython's reader, whose included files have places, too."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.undecodable: list[ZoneError] = []
        """Of included files."""
        super().__init__(*args, **options)

    @property
    def tok(self) -> Any:
        """The tokenizer of the current file."""
        return self._tok

    @tok.setter
    def tok(self, tokenizer: Any) -> None:
        if type(tokenizer) is dns.tokenizer.Tokenizer:
            path = tokenizer.filename
            text, undecodable = _decoded(path, tokenizer.file)
            self.undecodable += undecodable[: ERRORS_MAX - len(self.undecodable)]
            tokenizer = Tracing(text, path, NoPlainLines())
        self._tok = tokenizer

    def go_on(self, error: Exception) -> None:
        """Leaves the bad record or directive behind, so that ``read`` can be called again."""
        self.start = None
        if isinstance(error, OSError) and self.saved_state:
            # An $INCLUDE that could not be opened: its line is complete.
            self.saved_state.pop()
            return
        plain = self.tok.lines.peek() if not self.tok.found else ""
        if plain and isinstance(error, ZoneError):
            self.tok.lines.skip()
            self.tok.line_number += 1
            return
        self.tok.skip_record()


def errors(sink: Any, path: str, file: TextIO, reading: Reading) -> Iterator[ZoneError]:
    """Every error in a master file, for a fresh sink, which gets the records that are right."""
    text, undecodable = _decoded(path, file)
    yield from undecodable
    tokenizer = Tracing(text, path, sink)
    reader = TracingReader(reading, tokenizer, dns.rdataclass.IN, sink, allow_include=True)
    reader.current_origin = reader.last_name = sink.origin_name()
    sink.reader = reader
    try:
        for _ in range(ERRORS_MAX):
            try:
                reader.read()
                break
            except FAILURES as error:
                yield _error(reader, error)
                if isinstance(error, BoundError):
                    return
                reader.go_on(error)
        yield from reader.undecodable
    except Unending:
        yield from reader.undecodable
    finally:
        reader.close()


def _error(reader: TracingReader, error: Exception) -> ZoneError:
    """An exception of the reader as an error with its place."""
    tracing: Tracing = reader.tok
    found = tracing.found
    if isinstance(error, ZoneError):
        return _placed(tracing, error)
    if not found:
        found.append(Found(Token(dns.tokenizer.EOL), tracing.line_number, 1))
    if "expected EOL" in str(error):
        tracing.blame_parenthesis()
    place, missing = found[-1], not _is_of_data(error)
    of_all = ("Missing default TTL", TOO_LONG)
    if isinstance(error, OSError) or any(words in str(error) for words in of_all):
        place = next((each for each in found if not each.token.is_whitespace()), place)
    elif place.token.is_delimiter():
        pass
    elif escaped := next((each for each in found if _has_bad_escape(each.token)), None):
        place = escaped
    elif place.token.is_eol_or_eof() and not missing:
        # The data as a whole is wrong: its last field, as far as is known.
        words = (each for each in reversed(found) if not each.token.is_eol_or_eof())
        place = next(words, place)
    tokens = [each.token for each in found]
    reason = explain(error, tokens, place.token, missing)
    return ZoneError(tracing.filename, reason, place.line, place.column)


def _has_bad_escape(token: Token) -> bool:
    if not token.has_escape:
        return False
    try:
        token.unescape_to_bytes()
    except dns.exception.DNSException:
        return True
    return False


def _placed(tracing: Tracing, error: ZoneError) -> ZoneError:
    """An error of ours, at the beginning of its record or its TTL."""
    start = next((each for each in tracing.found if not each.token.is_whitespace()), None)
    if start is None:
        line = tracing.lines.peek()
        column = len(line) - len(line.lstrip()) + 1
        return ZoneError(error.path, error.reason, error.line, column)
    if (error.path, error.line) != (tracing.filename, start.line):
        # About an earlier record.
        return error
    if error.reason.startswith("the TTL "):
        value = error.reason.split()[2]
        start = next((each for each in tracing.found if each.token.value == value), start)
    return ZoneError(error.path, error.reason, start.line, start.column)


def _is_of_data(error: BaseException) -> bool:
    """Whether an exception does not come from the tokenizer, which missed a token."""
    trace = error.__traceback__
    last = ""
    while trace is not None:
        last = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    return last != dns.tokenizer.__name__


def _decoded(path: str, file: TextIO) -> tuple[str, list[ZoneError]]:
    """The file as text, with lines that are not UTF-8 left out, and an error for each of them."""
    data: bytes = file.buffer.read() if isinstance(file, io.TextIOWrapper) else file.read().encode()
    with suppress(UnicodeDecodeError):
        return data.decode(), []
    lines: list[str] = []
    found: list[ZoneError] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError as error:
            lines.append("")
            if len(found) < ERRORS_MAX:
                found.append(_not_text(path, number, line, error.start))
    return "\n".join(lines), found


def _not_text(path: str, number: int, line: bytes, at: int) -> ZoneError:
    byte, before = line[at], line[:at].decode()
    reason = (
        f"the byte {byte:#04x} is not UTF-8 text: write the file in UTF-8, or this byte as "
        f"\\{byte:03}"
    )
    return ZoneError(path, reason, number, len(before) + 1)
