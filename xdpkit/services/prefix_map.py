"""Prefixes with a value each, compiled into the table that ``cext/admit/prefix_map.h`` reads.

blob = build({parse_prefix("192.0.2.0/24"): 7, parse_prefix("192.0.2.66"): 9})
PrefixMap(blob).value("192.0.2.66")   # 9: the longest prefix decides
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping

from xdpkit.config.prefixes import Prefix

HEADER = struct.Struct("<4I")
"""struct prefix_map: for IPv4, then IPv6, the number of changes, and where the values begin."""
CHANGE_BYTES = {4: 4, 6: 16}
VALUE_BYTES = 2
VALUE_MAX = 0xFFFF

Span = tuple[int, int, int]
"""A prefix as numbers: its first address, its length in bits, its value."""

Flat = tuple[list[int], list[int]]
"""Ascending, the addresses at which the value changes; the value of address 0, then theirs."""


def build(values: Mapping[Prefix, int], default: int = 0) -> bytes:
    """The data of a ``PrefixMap``: the longest prefix that contains an address decides.

    An address in no prefix has the value ``default``, in either family. Raises ValueError for a
    value that is not within 0..VALUE_MAX.
    """
    spans: dict[int, list[Span]] = {4: [], 6: []}
    for prefix, value in values.items():
        span = (int(prefix.network_address), prefix.prefixlen, value)
        spans[prefix.version].append(span)
    return build_spans(spans[4], spans[6], default)


def build_spans(ipv4: Iterable[Span], ipv6: Iterable[Span], default: int = 0) -> bytes:
    """The same from numbers, which cost much less than objects where there are 100,000 and more.

    Raises ValueError for what is no prefix, for a prefix with two values, and for a value that is
    not within 0..VALUE_MAX.
    """
    return pack(flatten(ipv4, 4, default), flatten(ipv6, 6, default))


def pack(ipv4: Flat, ipv6: Flat) -> bytes:
    """The data of a ``PrefixMap``, from what ``flatten`` or ``combine`` made of each family."""
    ipv4_changes, ipv4_values = ipv4
    ipv6_changes, ipv6_values = ipv6
    ipv6_at = HEADER.size + CHANGE_BYTES[6] * len(ipv6_changes)
    ipv6_at += CHANGE_BYTES[4] * len(ipv4_changes)
    ipv4_at = ipv6_at + (VALUE_BYTES * len(ipv6_values) if ipv6_changes else 0)
    parts = (
        HEADER.pack(
            len(ipv4_changes),
            ipv4_at if ipv4_changes else ipv4_values[0],
            len(ipv6_changes),
            ipv6_at if ipv6_changes else ipv6_values[0],
        ),
        b"".join(change.to_bytes(CHANGE_BYTES[6], "little") for change in ipv6_changes),
        _packed("I", ipv4_changes),
        _packed("H", ipv6_values if ipv6_changes else []),
        _packed("H", ipv4_values if ipv4_changes else []),
    )
    return b"".join(parts)


def flatten(spans: Iterable[Span], version: int, default: int) -> Flat:
    """The prefixes of a family. Raises ValueError as ``build_spans`` does."""
    _check_value(default)
    changes, values = [0], [default]
    for address, value in _events(sorted(spans), 8 * CHANGE_BYTES[version], default):
        # At one address, the last event is that of the longest prefix.
        if changes[-1] == address:
            changes.pop()
            values.pop()
        if not values or values[-1] != value:
            changes.append(address)
            values.append(value)
    return changes[1:], values


def combine(first: Flat, second: Flat, of: Callable[[int, int], int]) -> Flat:
    """The map whose value at each address is ``of`` the values of the two there."""
    maps = (first, second)
    at = [0, 0]
    changes, values = [], [of(first[1][0], second[1][0])]
    for change in sorted({*first[0], *second[0]}):
        for i, (addresses, _) in enumerate(maps):
            if at[i] < len(addresses) and addresses[at[i]] == change:
                at[i] += 1
        value = of(first[1][at[0]], second[1][at[1]])
        if value != values[-1]:
            changes.append(change)
            values.append(value)
    return changes, values


def _events(spans: list[Span], bits: int, default: int) -> Iterator[tuple[int, int]]:
    """Where prefixes begin and end, ascending, and the value from there on."""
    # Two prefixes are nested or disjoint, so those that contain an address form a stack.
    ends, values = [1 << bits], [default]
    before = (-1, -1)
    for first, length, value in spans:
        _check_value(value)
        size = 1 << bits - length if 0 <= length <= bits else 0
        if not size or first & (size - 1) or not 0 <= first < 1 << bits:
            raise ValueError(f"{first:#x}/{length} is no prefix of {bits} bits")
        if before == (first, length):
            raise ValueError(f"{first:#x}/{length} is there twice")
        before = (first, length)
        while ends[-1] <= first:
            end = ends.pop()
            values.pop()
            yield end, values[-1]
        ends.append(first + size)
        values.append(value)
        yield first, value
    while len(ends) > 1:
        end = ends.pop()
        values.pop()
        if end < 1 << bits:
            yield end, values[-1]


def _check_value(value: int) -> None:
    if not 0 <= value <= VALUE_MAX:
        raise ValueError(f"{value} is not within 0..{VALUE_MAX}, the values of a prefix map")


def _packed(code: str, numbers: list[int]) -> bytes:
    packed = array(code, numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()
