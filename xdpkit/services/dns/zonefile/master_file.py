"""dnspython's reader of master files, which knows the line of each record and skips plain ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import dns.exception
import dns.tokenizer
import dns.zonefile

from xdpkit.services.dns.compiler.sources import Reading
from xdpkit.services.dns.zonefile.plain_lines import Lines

if TYPE_CHECKING:
    from xdpkit.services.dns.zonefile.records import Sink

# Files that include one another at most: more is a loop.
INCLUDES_MAX = 32


class Tokenizer(dns.tokenizer.Tokenizer):
    """Remembers where the newest line began: dnspython counts on before an error shows.

    Where a line begins, the sink may take over what is plain.
    """

    line = 1

    def __init__(self, file: TextIO, path: Path, sink: Sink) -> None:
        self.lines, self._sink = Lines(file), sink
        super().__init__(cast(TextIO, self.lines), str(path))

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_comment:  # only asked for where a line begins
            self.line = self.line_number
            if self.ungotten_token is None and self.ungotten_char is None:
                self._take_plain()
        return super().get(want_leading, want_comment)

    def _take_plain(self) -> None:
        while self._sink.take(self.lines.peek()):
            self.lines.skip()
            self.line_number += 1
            self.line = self.line_number
        self._sink.taken()


class Reader(dns.zonefile.Reader):
    """dnspython's reader, which knows at each record where the record began."""

    start: tuple[str, int] | None = None

    def __init__(self, reading: Reading, *args: Any, **options: Any) -> None:
        self._reading = reading
        super().__init__(*args, **options)

    @property
    def current_file(self) -> Any:
        """What $INCLUDE opened last and is not read to its end."""
        return self._included

    @current_file.setter
    def current_file(self, file: Any) -> None:
        # Just opened by name: its content is to be remembered with the zone's.
        path = getattr(file, "name", None)
        if path is not None:
            file.close()
            if len(self.saved_state) > INCLUDES_MAX:
                raise dns.exception.SyntaxError(  # type: ignore[no-untyped-call]
                    f"$INCLUDE in $INCLUDE, {INCLUDES_MAX} deep; does a file include itself?"
                )
            file = self._reading.open(path)
        self._included = file

    def _rr_line(self) -> None:
        self.start = self._line()
        super()._rr_line()
        self.start = None

    def _generate_line(self) -> None:
        self.start = self._line()
        super()._generate_line()  # type: ignore[no-untyped-call]
        self.start = None

    def stated_ttl(self) -> int | None:
        """The TTL of $TTL; None without one."""
        from_soa = getattr(self, "default_ttl_from_soa", False)
        return self.default_ttl if self.default_ttl_known and not from_soa else None

    def place(self) -> tuple[str, int]:
        """File and line of the record at hand, or of the directive."""
        return self.start or self._line()

    def _line(self) -> tuple[str, int]:
        path, line = self.tok.where()
        # The tokenizer of an included file is dnspython's plain one.
        return path, getattr(self.tok, "line", line)

    def close(self) -> None:
        """Closes what $INCLUDE opened; read() does so only when all went well."""
        for opened in (self.current_file, *(state[3] for state in self.saved_state)):
            if opened is not None:
                opened.close()
