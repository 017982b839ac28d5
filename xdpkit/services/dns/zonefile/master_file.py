"""dnspython's reader of master files, for what is not plain; it knows the line of each record."""

from __future__ import annotations

from typing import Any, Protocol, TextIO, cast

import dns.exception
import dns.grange
import dns.tokenizer
import dns.zonefile

from xdpkit._core._master_file import MasterFile
from xdpkit.errors import ZoneError
from xdpkit.regular_file import LargeFileError, open_regular
from xdpkit.services.dns.zonefile.generate import plain_lines
from xdpkit.services.dns.zonefile.limits import (
    GENERATE_LINES,
    INCLUDES_DEEP,
    RECORD_WORDS,
    TOO_LONG,
    BoundError,
    lines_of_range,
    too_deep,
    too_many_lines,
)
from xdpkit.services.dns.zonefile.sources import Reading


def _open(path: str, *_: str, **__: str) -> TextIO:
    # Whatever the version asks for: it is closed at once.
    return open(path, encoding="utf-8", opener=lambda name, _: open_regular(name))


# dnspython opens what $INCLUDE names itself: a FIFO in its place would never be open.
setattr(dns.zonefile, "open", _open)  # noqa: B010


# Of a record without a TTL, where the SOA's minimum is the default: newer versions prefer the TTL
# that was stated last (RFC 2308 section 4), and remember where the default is from.
STATED_BEFORE_MINIMUM = "default_ttl_from_soa" in dns.zonefile.Reader.__init__.__code__.co_names


class PlainSink(Protocol):
    """What takes plain records before dnspython sees them: ``records.py`` has it."""

    def take(self, file: MasterFile) -> bool:
        """Takes those that follow in a file; returns whether that was all of it."""


class Tokenizer(dns.tokenizer.Tokenizer):
    """Remembers where the latest line began: dnspython counts further before it reports an error.

    At the beginning of a line, the sink may consume plain records.
    """

    _words = 0
    """Words of the current record so far."""
    generating = False
    """Whether the line is a $GENERATE, whose last word may be quoted."""

    def __init__(self, file: MasterFile, sink: PlainSink) -> None:
        self.lines, self._sink = file, sink
        super().__init__(file, file.path)
        self.line = self.line_number = file.line

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_comment:  # set only where a line begins
            self._words = 0
            if self.ungotten_token is None and self.ungotten_char is None:
                self._take_plain()
            self.line = self.line_number
        self._words += 1
        if self._words > RECORD_WORDS:
            raise dns.exception.SyntaxError(TOO_LONG)  # type: ignore[no-untyped-call]
        token = super().get(want_leading, want_comment)
        if not token.is_quoted_string():
            return token
        if self.generating:
            # As named has it: what is in the quotes is the text of the data, blanks included.
            text = token.value.replace('\\"', '"')
            return dns.tokenizer.Token(dns.tokenizer.IDENTIFIER, text)
        if want_comment and token.value[:1] not in {"", "@", "$"}:
            # An owner, as named and nsd have it.
            return dns.tokenizer.Token(dns.tokenizer.IDENTIFIER, token.value, token.has_escape)
        return token

    def rest_of_line(self) -> str:
        """What has not been read of the current line."""
        return (self.ungotten_char or "") + self.lines.rest()

    def skip_line(self) -> None:
        """Goes to the end of the current line."""
        self.ungotten_char = self.ungotten_token = None
        self.lines.skip_rest()

    def _take_plain(self) -> None:
        self.lines.line = self.line_number
        try:
            self._sink.take(self.lines)
        finally:
            self.line = self.line_number = self.lines.line


class Reader(dns.zonefile.Reader):
    """dnspython's reader, which knows where each record began."""

    start: tuple[str, int] | None = None
    generating = False
    """Whether the records are made by a $GENERATE."""

    def __init__(self, reading: Reading, *args: Any, **options: Any) -> None:
        self._reading = reading
        super().__init__(*args, **options)

    @property
    def tok(self) -> Any:
        """The tokenizer of the current file."""
        return self._tok

    @tok.setter
    def tok(self, tokenizer: Any) -> None:
        # dnspython makes one of its own for an included file.
        if type(tokenizer) is dns.tokenizer.Tokenizer:
            tokenizer = Tokenizer(tokenizer.file, cast(PlainSink, self.txn))
        self._tok = tokenizer

    @property
    def current_file(self) -> Any:
        """The file that $INCLUDE opened last and that is not yet read to its end."""
        return self._included

    @current_file.setter
    def current_file(self, file: Any) -> None:
        # Just opened by name: it must be recorded as a source of the zone.
        path = getattr(file, "name", None)
        if path is not None:
            file.close()
            file = self._include(path)
        self._included = file

    def _include(self, path: str) -> MasterFile:
        # The tokenizer is still that of the file with the directive.
        if len(self.saved_state) > INCLUDES_DEEP:
            raise self._bound(too_deep(path))
        try:
            return self._reading.open(path, includer=self.tok.where()[0])
        except LargeFileError as error:
            raise self._bound(f"$INCLUDE {path}: {error.strerror}") from None

    def _bound(self, reason: str) -> BoundError:
        path, line = self.location()
        return BoundError(path, reason, line)

    def _rr_line(self) -> None:
        self.start = self._line()
        super()._rr_line()
        self.start = None

    def _generate_line(self) -> None:
        self.start = self._line()
        rest = self.tok.rest_of_line()
        token = self.tok.get()
        self.tok.unget(token)
        numbers = self._range(str(token.value))
        left = self._make_plain(rest, numbers) if numbers else None
        if left is None or left:
            self._make(left)
        else:
            self.tok.skip_line()
        self.start = None

    def _make(self, left: range | None) -> None:
        """Has dnspython make the records, or those of the numbers that are left."""
        if left:
            self.tok.get()
            text = f"{left.start}-{left[-1]}/{left.step}"
            self.tok.unget(dns.tokenizer.Token(dns.tokenizer.IDENTIFIER, text))
        self.generating = self.tok.generating = True
        try:
            super()._generate_line()  # type: ignore[no-untyped-call]
        finally:
            self.generating = self.tok.generating = False

    def _make_plain(self, rest: str, numbers: range) -> range | None:
        """Makes records as plain lines; returns the numbers from the first that does not work on.

        None if the directive itself is not plain.
        """
        path, line = self.location()
        made = plain_lines(rest, numbers)
        if made is None:
            return None
        for some, lines in made:
            self.made(len(lines))
            file = MasterFile(path, lines)
            file.line_of_all = line
            if not cast(PlainSink, self.txn).take(file):
                return range(some[lines[: file.offset].count(b"\n")], numbers.stop, numbers.step)
        return range(0)

    def _range(self, text: str) -> range | None:
        """The numbers of a $GENERATE, none too many; None if that is no range."""
        try:
            start, stop, step = dns.grange.from_text(text)
        except (dns.exception.DNSException, ValueError, AssertionError):
            # dnspython reports it.
            return None
        lines = lines_of_range(start, stop, step)
        if lines > GENERATE_LINES:
            path, line = self.location()
            raise ZoneError(path, too_many_lines(lines), line)
        if reason := self._reading.budget.generate(lines):
            raise self._bound(reason)
        return range(start, stop + 1, step)

    def made(self, size: int) -> None:
        """Counts what $GENERATE made, of so many bytes. Raises BoundError."""
        if reason := self._reading.budget.make(size):
            raise self._bound(reason)

    def location(self) -> tuple[str, int]:
        """File and line of the current record or directive."""
        return self.start or self._line()

    def _line(self) -> tuple[str, int]:
        return self.tok.filename, self.tok.line

    def close(self) -> None:
        """Closes what $INCLUDE opened; read() does so only on success."""
        for opened in (self.current_file, *(state[3] for state in self.saved_state)):
            if opened is not None:
                opened.close()
