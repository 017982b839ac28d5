"""The filter language of ``xdpkit dump``, compiled for ``cext/capture/filter.c``.

    filter  = and-part { "or" and-part }
    and-part = part { "and" part }
    part    = "not" part | "(" filter ")" | test

The tests are those of TESTS. An empty filter is everything.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype

from xdpkit._core._capture import FILTER_DEPTH, TCP_THREAD, UDP_THREAD, CaptureFilter
from xdpkit._core._stats import QUEUES, SERVICES, VERDICT_FIRST, VERDICTS
from xdpkit.errors import UsageError

Step = tuple[str, bytes | None, int]

# The word, or a parenthesis that stands for itself; quotes are not needed for any operand.
_TOKEN = re.compile(r"[()]|[^\s()]+")

# Parentheses and "not" inside each other, before Python's own stack matters.
_MOST_NESTED = FILTER_DEPTH

_VERDICT_IDS = {verdict.name: VERDICT_FIRST + i for i, verdict in enumerate(VERDICTS)}


class FilterError(UsageError):
    """A filter that cannot be read: where, and what was expected there."""


@dataclass
class _Words:
    """The words that are left, with the column of each (from 1)."""

    text: str
    words: list[tuple[str, int]] = field(default_factory=list)
    at: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        self.words = [(found[0], found.start() + 1) for found in _TOKEN.finditer(self.text)]

    @property
    def word(self) -> str:
        """The next word, empty at the end."""
        return self.words[self.at][0] if self.at < len(self.words) else ""

    def take(self) -> str:
        word = self.word
        self.at += 1
        return word

    def take_if(self, word: str) -> bool:
        found = self.word.lower() == word
        self.at += found
        return found

    def error(self, expected: str, back: int = 0) -> FilterError:
        """At the next word, or so many words before it."""
        at = self.at - back
        if at >= len(self.words):
            return FilterError(f"filter, column {len(self.text) + 1}: it ends, expected {expected}")
        word, column = self.words[at]
        return FilterError(f'filter, column {column}: "{word}", expected {expected}')


def compile_filter(text: str) -> CaptureFilter:
    """The compiled filter. Raises FilterError with the position, and what was expected."""
    words = _Words(text)
    if not words.words:
        return CaptureFilter()
    steps = _either(words)
    if words.word:
        raise words.error('"and", "or" or the end')
    try:
        return CaptureFilter(steps)
    except ValueError as error:
        raise FilterError(f"filter: {error}: write a shorter one") from error


def _either(words: _Words) -> list[Step]:
    steps = _both(words)
    while words.take_if("or"):
        steps += [*_both(words), ("or", None, 0)]
    return steps


def _both(words: _Words) -> list[Step]:
    steps = _part(words)
    while words.take_if("and"):
        steps += [*_part(words), ("and", None, 0)]
    return steps


def _part(words: _Words) -> list[Step]:
    words.depth += 1
    if words.depth > _MOST_NESTED:
        raise words.error(f'no more than {_MOST_NESTED} parentheses or "not" inside each other')
    if words.take_if("not"):
        steps = [*_part(words), ("not", None, 0)]
    elif words.take_if("("):
        steps = _either(words)
        if not words.take_if(")"):
            raise words.error('"and", "or" or ")"')
    else:
        steps = [_test(words)]
    words.depth -= 1
    return steps


def _test(words: _Words) -> Step:
    test = TESTS.get(words.word.lower())
    if test is None:
        raise words.error(f'"not", "(" or a test: {", ".join(TESTS)}')
    words.at += 1
    return test(words)


def _operand(words: _Words, expected: str) -> str:
    if words.word in ("", "(", ")"):
        raise words.error(expected)
    return words.take()


def _service(words: _Words) -> Step:
    expected = f"a service: {', '.join(SERVICES)}"
    number = SERVICES.get(_operand(words, expected).lower())
    if number is None:
        raise words.error(expected, back=1)
    return "service", None, number


def _client(words: _Words) -> Step:
    expected = "an address or a prefix, such as 192.0.2.0/24"
    try:
        network = ipaddress.ip_network(_operand(words, expected))
    except ValueError as error:
        raise words.error(f"{expected} ({error})", back=1) from error
    return "client", network.network_address.packed, network.prefixlen


def _name(words: _Words) -> Step:
    expected = "a domain name; *.example.com is all below example.com"
    text = _operand(words, expected)
    below = text.startswith("*.")
    try:
        name = dns.name.from_text(text[2:] if below else text, dns.name.root)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise words.error(expected, back=1) from error
    wire = name.canonicalize().to_wire()
    assert wire is not None
    return "below" if below else "name", wire, 0


def _type(words: _Words) -> Step:
    expected = "a record type, such as AAAA or TYPE65"
    try:
        number = dns.rdatatype.from_text(_operand(words, expected))
    except (dns.exception.DNSException, ValueError) as error:
        raise words.error(expected, back=1) from error
    return "type", None, int(number)


def _rcode(words: _Words) -> Step:
    expected = "a response code, such as NXDOMAIN or 3"
    try:
        number = dns.rcode.from_text(_operand(words, expected))
    except (dns.exception.DNSException, ValueError) as error:
        raise words.error(expected, back=1) from error
    return "rcode", None, int(number)


def _verdict(words: _Words) -> Step:
    expected = "a verdict, as xdpkit status names them"
    number = _VERDICT_IDS.get(_operand(words, expected).lower())
    if number is None:
        raise words.error(expected, back=1)
    return "verdict", None, number


def _queue(words: _Words) -> Step:
    expected = f"an RX queue, 0 to {QUEUES - 1}"
    text = _operand(words, expected)
    if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) >= QUEUES:
        raise words.error(expected, back=1)
    return "thread", None, int(text)


def _constant(step: Step) -> Callable[[_Words], Step]:
    return lambda words: step


TESTS: dict[str, Callable[[_Words], Step]] = {
    "service": _service,
    "client": _client,
    "name": _name,
    "type": _type,
    "rcode": _rcode,
    "verdict": _verdict,
    "queue": _queue,
    "udp": _constant(("thread", None, UDP_THREAD)),
    "tcp": _constant(("thread", None, TCP_THREAD)),
    "answered": _constant(("answered", None, 0)),
}
