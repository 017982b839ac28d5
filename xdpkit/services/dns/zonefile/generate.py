"""The records of a plain $GENERATE as lines, which are read in C like others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

# What has an escape or a parenthesis, more words or fewer, is not plain. Quotes are around the text
# of the data, as named has it.
_WORD = r'[^\s;"()\\]+'
_PLAIN = re.compile(
    rf"[ \t]+\d+-\d+(?:/\d+)?[ \t]+(?P<owner>{_WORD})[ \t]+"
    r"(?P<before>(?:\d\w*[ \t]+)?(?:IN[ \t]+)?[A-Z][-\w]*[ \t]+)"
    rf'(?:(?P<data>{_WORD})|"(?P<quoted>[^";()\\\n]+)")'
    r"[ \t]*(?:;.*)?\n?",
    re.ASCII | re.IGNORECASE,
)

# $, or ${OFFSET,WIDTH,BASE} with both optional; $$ and the base of nibbles are not plain.
_COUNTER = re.compile(r"\$(?:\{([+-]?\d+)(?:,(\d+)(?:,([doxX]))?)?\}|(?!\{))")
_DOUBLE = "$$"

# As dnspython and BIND have it.
_WIDTH_MAX = 127

# Text that is made at once, in bytes, and lines.
_MADE_BYTES, _MADE_LINES = 1 << 20, 1000


def plain_lines(rest: str, numbers: range) -> Iterator[tuple[range, bytes]] | None:
    """The lines that a $GENERATE makes, some at a time, each time with their numbers.

    ``rest`` is what follows the word $GENERATE, and ``numbers`` are not none. None if it is not
    plain.
    """
    match = _PLAIN.fullmatch(rest)
    if match is None or _DOUBLE in rest:
        return None
    owner = _template(match["owner"], numbers)
    data = _template(match["data"] or match["quoted"], numbers)
    if owner is None or data is None:
        return None
    before = match["before"]
    longest = max(len(owner(number)) + len(data(number)) for number in (numbers[0], numbers[-1]))
    at_once = max(1, min(_MADE_LINES, _MADE_BYTES // (longest + len(before))))

    def made() -> Iterator[tuple[range, bytes]]:
        for first in range(0, len(numbers), at_once):
            some = numbers[first : first + at_once]
            lines = [f"{owner(number)} {before}{data(number)}\n" for number in some]
            yield some, "".join(lines).encode()

    return made()


def _template(text: str, numbers: range) -> Callable[[int], str] | None:
    """What makes a word with a number in place of each counter; None if it is not plain."""
    form, at = "", 0
    offsets = []
    for match in _COUNTER.finditer(text):
        offset, width = int(match[1] or 0), int(match[2] or 0)
        if width > _WIDTH_MAX or numbers[0] + offset < 0:
            return None
        form += f"{_literal(text[at : match.start()])}%0{width}{match[3] or 'd'}"
        offsets.append(offset)
        at = match.end()
    if "$" in _COUNTER.sub("", text):
        return None
    form += _literal(text[at:])
    return lambda number: form % tuple([number + offset for offset in offsets])


def _literal(text: str) -> str:
    return text.replace("%", "%%")
