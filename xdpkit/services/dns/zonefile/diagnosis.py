"""Everything that is wrong with a master file that was refused: each with line and column.

A good file is read once, by ``read.py``, at full speed. Only a refused one is read again, here,
by a tokenizer that remembers where each token began and a reader that goes on after a bad record.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import dns.exception
import dns.rdataclass
import dns.tokenizer
from dns.tokenizer import Token

from xdpkit._core._master_file import MasterFile
from xdpkit.errors import ERRORS_MAX, ZoneError
from xdpkit.services.dns.zonefile.limits import TOO_LONG, BoundError
from xdpkit.services.dns.zonefile.lines import Lines, column_in
from xdpkit.services.dns.zonefile.master_file import PlainSink, Reader, Tokenizer
from xdpkit.services.dns.zonefile.records import Sink
from xdpkit.services.dns.zonefile.sources import Reading
from xdpkit.services.dns.zonefile.wording import explain

# A parenthesis counts as well, unless the record goes on in another line.
_BLANKS = re.compile(rb"[ \t]*(?:\([ \t(]*(?![ \t(;\r\n]))?")
_NEWLINE = re.compile(rb"\r\n?|\n")

FAILURES = (ZoneError, dns.exception.DNSException, OSError, ValueError, RecursionError)


@dataclass(frozen=True)
class Found:
    """A token, and where it begins: line and column, from 1."""

    token: Token
    line: int
    column: int


class NumberedLines(Lines):
    """The lines of a file by their numbers: for columns, and to go back after a parenthesis."""

    def indentation(self) -> int:
        """How many blanks the next line begins with."""
        blanks = _BLANKS.match(self.data, self.offset)
        return len(blanks[0]) if blanks else 0

    def first(self, number: int) -> str:
        """The first character of a line, from 1; empty after the last one."""
        at = self._start(number)
        return chr(self.data[at]) if at < len(self.data) else ""

    def restart(self, number: int) -> None:
        """Continues at a line, from 1."""
        self.seek(self._start(number))

    def _start(self, number: int) -> int:
        return self._starts[number - 1] if number <= len(self._starts) else len(self.data)

    @cached_property
    def _starts(self) -> array[int]:
        """Where each line begins."""
        starts = array("Q", [0])
        starts.extend(newline.end() for newline in _NEWLINE.finditer(self.data))
        return starts

    def column_of(self, number: int, column: int) -> int:
        """The column in the file of one in a line's text."""
        return column_in(self.data[self._start(number) : self._start(number + 1)], column)


class Tracing(Tokenizer):
    """Remembers the tokens of the current record and where they began."""

    lines: NumberedLines

    def __init__(self, lines: NumberedLines, sink: PlainSink) -> None:
        super().__init__(lines, sink)
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
        while self.lines.first(number) in {" ", "\t", "\n", "\r", ";", ")"}:
            number += 1
        self.lines.restart(number)
        self.line_number = self.line = number


def _is_delimiter(token: Token | None, text: str) -> bool:
    return token is not None and token.is_delimiter() and bool(token.value == text)


class TracingReader(Reader):
    """dnspython's reader, whose included files have places, too."""

    @property
    def tok(self) -> Any:
        """The tokenizer of the current file."""
        return self._tok

    @tok.setter
    def tok(self, tokenizer: Any) -> None:
        if type(tokenizer) is dns.tokenizer.Tokenizer:
            file = tokenizer.file
            lines = NumberedLines(file.path, file.data)
            tokenizer = Tracing(lines, cast(PlainSink, self.txn))
        self._tok = tokenizer

    def go_on(self, error: Exception) -> None:
        """Leaves the bad record or directive behind, so that ``read`` can be called again."""
        self.start, self.generating = None, False
        if isinstance(error, OSError) and self.saved_state:
            # An $INCLUDE that could not be opened: its line is complete.
            self.saved_state.pop()
            return
        if not self.tok.found and isinstance(error, ZoneError):
            # A plain record, which dnspython has not seen.
            self.tok.lines.skip_refused()
            self.tok.line_number = self.tok.lines.line
            return
        self.tok.skip_record()


def errors(sink: Sink, file: MasterFile, reading: Reading) -> Iterator[ZoneError]:
    """Every error in a master file, for a fresh sink, which gets the records that are right."""
    tokenizer = Tracing(NumberedLines(file.path, file.data), sink)
    in_class = dns.rdataclass.IN
    reader = TracingReader(reading, tokenizer, in_class, sink, allow_include=True)
    sink.attach(reader)
    try:
        for _ in range(ERRORS_MAX):
            try:
                reader.read()
                break
            except FAILURES as error:
                yield _error(reader, error)
                if isinstance(error, BoundError):
                    break
                reader.go_on(error)
    finally:
        reader.close()
        sink.reader = None


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
    column = tracing.lines.column_of(place.line, place.column)
    return ZoneError(tracing.filename, reason, place.line, column)


def _has_bad_escape(token: Token) -> bool:
    if not token.has_escape:
        return False
    try:
        token.unescape_to_bytes()
    except dns.exception.DNSException:
        return True
    return False


def _placed(tracing: Tracing, error: ZoneError) -> ZoneError:
    """An error of ours, at the beginning of its record."""
    start = next((each for each in tracing.found if not each.token.is_whitespace()), None)
    if start is None:
        column = tracing.lines.indentation() + 1
        return ZoneError(error.path, error.reason, error.line, column)
    if (error.path, error.line) != (tracing.filename, start.line):
        # About an earlier record.
        return error
    column = tracing.lines.column_of(start.line, start.column)
    return ZoneError(error.path, error.reason, start.line, column)


def _is_of_data(error: BaseException) -> bool:
    """Whether an exception does not come from the tokenizer, which missed a token."""
    trace = error.__traceback__
    last = ""
    while trace is not None:
        last = trace.tb_frame.f_globals.get("__name__", "")
        trace = trace.tb_next
    return last != dns.tokenizer.__name__
