"""An operator's own file of locations: a line for each prefix.

    # prefix          country  region  AS
    192.0.2.0/24      us       us-ca   as64496
    2001:db8::/32     de
    198.51.100.0/24   -                as64497

The longest prefix counts. ``-`` leaves the country to the database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path

from xdpkit.config.toml_document import nearest, quoted
from xdpkit.errors import ERRORS_MAX, ConfigError, ConfigErrors, shortened
from xdpkit.services.dns.geo.continents import CONTINENTS
from xdpkit.services.dns.geo.location_table import BITS, LocationTable, Prefix, table_of_prefixes
from xdpkit.services.dns.geo.targets import NOWHERE, Location

# Two million lines.
MAP_BYTES_MAX = 1 << 26

_FORM = "write PREFIX COUNTRY [REGION] [asNUMBER], as in 192.0.2.0/24 us us-ca as64496"
_WORD = re.compile(r"\S+")
_REGION = re.compile(r"(?:([a-z]{2})-)?([a-z0-9]{1,3})")
_ASN = re.compile(r"as([0-9]{1,10})")


class _Wrong(Exception):
    """Something about the nth word of a line."""

    def __init__(self, word: int, reason: str) -> None:
        self.word, self.reason = word, reason


def parse_location_map(path: Path, data: bytes) -> LocationTable:
    """The table of a file's bytes.

    Raises ConfigError with everything that is wrong, each located.
    """
    seen: dict[Prefix, tuple[int, Location]] = {}
    found: list[ConfigError] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        words = list(_words(line.decode("utf-8", "surrogateescape")))
        if not words:
            continue
        try:
            prefix, where = _entry([word for _, word in words])
            if prefix in seen:
                first = seen[prefix][0]
                raise _Wrong(0, f"{prefix} is in line {first} already: remove one of them")
            seen[prefix] = number, where
        except _Wrong as error:
            column = words[min(error.word, len(words) - 1)][0]
            found.append(ConfigError(path, error.reason, number, column))
            if len(found) == ERRORS_MAX:
                break
    if found:
        told = shortened(found)
        raise told[0] if len(told) == 1 else ConfigErrors(told)
    return table_of_prefixes([(p, where) for p, (_, where) in seen.items()], NOWHERE)


def _words(line: str) -> Iterator[tuple[int, str]]:
    """The words of a line up to a comment, each with its column."""
    for found in _WORD.finditer(line.partition("#")[0]):
        yield found.start() + 1, found[0]


def _entry(words: list[str]) -> tuple[Prefix, Location]:
    """The prefix of a line, and where it is. Raises _Wrong."""
    if not 2 <= len(words) <= 4:
        raise _Wrong(4, f"{len(words)} words: {_FORM}")
    prefix, country = _prefix(words[0]), words[1].lower()
    if country == "-":
        country = ""
    elif country not in CONTINENTS:
        hint = nearest(country, CONTINENTS) if len(country) != 2 else "write its ISO 3166 code"
        raise _Wrong(1, f"{quoted(words[1])} is no country: {hint}, or - for none")
    region, asn = "", 0
    for at, word in enumerate(words[2:], 2):
        low = word.lower()
        if (number := _ASN.fullmatch(low)) and at == len(words) - 1:
            asn = int(number[1])
            if not 0 < asn < 1 << 32:
                raise _Wrong(at, f"{quoted(word)} is no AS number: as1 to as{(1 << 32) - 1}")
        elif at == 2 and country and (parts := _REGION.fullmatch(low)):
            if parts[1] not in (None, country):
                raise _Wrong(at, f"the region {quoted(word)} is not one of {country}: correct one")
            region = f"{country}-{parts[2]}"
        else:
            raise _Wrong(at, f"{quoted(word)} is no region or AS number: {_FORM}")
    if not country and not asn:
        raise _Wrong(1, f"neither a country nor an AS number: {_FORM}")
    return prefix, Location(country, region, asn)


def _prefix(word: str) -> Prefix:
    try:
        prefix = ip_network(word, strict=False)
    except ValueError:
        raise _Wrong(0, f"{quoted(word)} is no prefix: {_FORM}") from None
    if "/" in word and word.partition("/")[0] and str(prefix) != word.lower():
        exact = ip_network(word.partition("/")[0]).network_address
        if exact != prefix.network_address:
            raise _Wrong(0, f"{quoted(word)} has bits behind its length: write {prefix}")
    if prefix.prefixlen > BITS[prefix.version]:
        raise _Wrong(0, f"{quoted(word)}: IPv6 is told apart to /{BITS[6]}: write a shorter one")
    return prefix
