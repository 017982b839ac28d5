"""What a master file may cost: bounds, each refused with the place that exceeds it.

A file is text that somebody wrote, and a few bytes of it can ask for any amount of work: includes
of includes, ranges of a $GENERATE, thousands of names that all lead to one large answer.
"""

from __future__ import annotations

from pathlib import Path

from xdpkit._core._rrset import RRset
from xdpkit.config.dns import MAX_ZONE_BYTES
from xdpkit.errors import ZoneError
from xdpkit.services.dns.zonefile.zone import Zone

# Deepest nesting of includes: nobody writes more by hand, and a file that includes itself twice is
# read 2^8 times at most before it is refused.
INCLUDES_DEEP = 8

# What an include counts at least, in bytes: opening a file takes as long as reading a page of one.
INCLUDE_BYTES = 4096

# Records that one $GENERATE makes: all hosts of an IPv4 /12, and a minute of work for rare types.
GENERATE_LINES = 1_000_000

# The same of all the $GENERATEs of a zone: what they make has no bytes in a file that would raise
# the compiler's memory limit, whose base (compiler/memory_limit.py) is enough for these.
GENERATED_LINES = 1_500_000

# Types of one name, the signatures of each apart. IANA has assigned 100; a question looks through
# all of its name's, and these are 8 KiB of an arena.
TYPES_AT_NAME = 1024

# Words of one record: RDATA of 65,535 bytes, each hexadecimal digit apart, and what is before it.
RECORD_WORDS = 131_200

TOO_LONG = f"a record of more than {RECORD_WORDS} words: close its parenthesis, or shorten it"

# Bytes of the arena for each byte of text. Measured with thousands of names as short as can be:
# 6 with an address, 10 with an MX, 12 delegated to four hosts of the zone, 36 delegated to one that
# has 13 addresses, 35 below an origin of 240 bytes; 330 with an MX of a host with 3,900 addresses.
ARENA_PER_BYTE = 128

# What an arena may have beside that: sixteen of the largest answers.
ARENA_BASE = 1 << 20


class BoundError(ZoneError):
    """Reading must not go on: what follows would cost as much again."""


class Budget:
    """What the files of one zone may still cost."""

    def __init__(self, most: int = MAX_ZONE_BYTES) -> None:
        self.most = most
        self.used = self.generated = 0
        """Bytes of text, made ones included; lines made."""

    @property
    def left(self) -> int:
        """Bytes that may still be read."""
        return max(self.most - self.used, 0)

    def too_large(self, size: int) -> str:
        """Why a file of ``size`` bytes, or so many that were read, is too much."""
        fix = "split the zone, or raise max_zone_bytes of [dns]"
        if not self.used:
            return f"it has {size} bytes, and a zone at most {self.most}: {fix}"
        whole = self.used + max(size, INCLUDE_BYTES)
        return (
            f"with its {size} bytes the zone has {whole}, each include counted each time and with"
            f" {INCLUDE_BYTES} or more, and at most {self.most}: {fix}"
        )

    def fits(self, size: int, included: bool) -> bool:
        """Whether a file may be read."""
        return (max(size, INCLUDE_BYTES) if included else size) <= self.left

    def read(self, size: int, included: bool) -> None:
        """Counts a file that was read."""
        self.used += max(size, INCLUDE_BYTES) if included else size

    def generate(self, lines: int) -> str:
        """Counts a $GENERATE of so many lines; why it is refused, or empty."""
        self.generated += lines
        if self.generated > GENERATED_LINES:
            return (
                f"with this $GENERATE they make {self.generated} lines of the zone, and at most"
                f" {GENERATED_LINES}: split the zone"
            )
        return ""

    def make(self, size: int) -> str:
        """Counts a record that was made, as text; why it is refused, or empty."""
        self.used += size
        if self.used > self.most:
            return (
                f"with what this $GENERATE makes the zone has more than {self.most} bytes: split"
                " the zone, or raise max_zone_bytes of [dns]"
            )
        return ""


def check_output(zone: Zone, written: int, at: RRset | None = None) -> None:
    """Raises ZoneError if an arena of ``written`` bytes is out of proportion to the zone's text.

    ``at`` is of the name that was written last; the error has its line, else that of the SOA.
    """
    most = ARENA_BASE + ARENA_PER_BYTE * zone.size
    if written > most:
        raise (at or zone.soa).error(
            f"the zone has {zone.size} bytes of text, and compiled up to here {written}, at most"
            f" {most}: many names whose answers repeat the same large records; remove some"
        )


def lines_of_range(start: int, stop: int, step: int) -> int:
    """How many records a $GENERATE of this range makes."""
    return max(0, (stop - start) // step + 1)


def too_many_lines(lines: int) -> str:
    """Why one $GENERATE is refused."""
    return (
        f"$GENERATE makes {lines} records, at most {GENERATE_LINES}: shorten its range, or write"
        " several"
    )


def too_many_types(name: str) -> str:
    """Why another type at a name is refused."""
    return f"more than {TYPES_AT_NAME} types of records at {name}: use several names"


def too_deep(path: Path | str) -> str:
    """Why an include is refused."""
    return f"$INCLUDE {path}: nested more than {INCLUDES_DEEP} deep; does a file include itself?"
