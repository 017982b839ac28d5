"""Prefix maps: the compiled block against a naive longest match, and what is refused."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nested_prefixes import prefixes

from xdpkit._core._prefix_map import PrefixMap
from xdpkit.config.prefixes import Prefix
from xdpkit.services.prefix_map import VALUE_MAX, build, build_spans

Address = IPv4Address | IPv6Address

# Few values as well, so that neighbors have the same.
VALUES = st.sampled_from([0, 1, 2, VALUE_MAX]) | st.integers(0, VALUE_MAX)


def longest_match(values: Mapping[Prefix, int], address: Address, default: int) -> int:
    holding = [(prefix.prefixlen, value) for prefix, value in values.items() if address in prefix]
    return max(holding)[1] if holding else default


def edges(prefix: Prefix) -> set[Address]:
    """Where a value may change: the ends of a prefix and the addresses next to them."""
    kind = type(prefix.network_address)
    first, last = int(prefix.network_address), int(prefix.broadcast_address)
    top = (1 << prefix.max_prefixlen) - 1
    return {kind(max(first - 1, 0)), kind(first), kind(last), kind(min(last + 1, top))}


@given(
    st.dictionaries(prefixes(4) | prefixes(6), VALUES, max_size=24),
    VALUES,
    st.lists(st.ip_addresses(), max_size=8),
)
def test_the_longest_prefix_decides(
    values: dict[Prefix, int], default: int, others: list[Address]
) -> None:
    compiled = PrefixMap(build(values, default))
    for address in {a for p in values for a in edges(p)} | set(others):
        assert compiled.value(address) == longest_match(values, address, default), address


def test_without_prefixes_the_default_is_everywhere() -> None:
    compiled = PrefixMap(build({}, 65535))
    assert {compiled.value(a) for a in ("0.0.0.0", "255.255.255.255", "::", "ffff::")} == {65535}


def test_many_prefixes() -> None:
    """As a table of countries has them: over 100,000, most of them next to each other."""
    draw = random.Random(1)
    ipv4 = [(n << 12, 20, draw.randrange(250)) for n in range(0, 1 << 20, 7)]
    ipv6 = [(0x20010DB8 << 96 | n << 80, 48, draw.randrange(250)) for n in range(1 << 16)]
    inside = [(first, 24, 300 + index % 2) for index, (first, _, _) in enumerate(ipv4[::5])]
    compiled = PrefixMap(build_spans([*ipv4, *inside], ipv6, 999))
    for first, length, value in draw.sample(inside, 500):
        assert compiled.value(IPv4Address(first)) == value
        assert compiled.value(IPv4Address(first + (1 << 32 - length) - 1)) == value
    for index in draw.sample(range(len(ipv4)), 500):
        last = ipv4[index][0] + (1 << 12) - 1
        assert compiled.value(IPv4Address(last)) == ipv4[index][2]
        assert compiled.value(IPv4Address((last + 1) % (1 << 32))) == 999 or index == len(ipv4) - 1
    for first, _, value in draw.sample(ipv6, 500):
        assert compiled.value(IPv6Address(first)) == value
        assert compiled.value(IPv6Address(first | (1 << 80) - 1)) == value


def test_neighbors_with_one_value_take_one_interval() -> None:
    halves = {IPv4Network("0.0.0.0/1"): 5, IPv4Network("128.0.0.0/1"): 5, IPv6Network("::/0"): 5}
    assert build(halves, default=1) == build({}, default=5)


@pytest.mark.parametrize(
    "ipv4, ipv6, reason",
    [
        ([(1, 31, 0)], [], "0x1/31 is no prefix of 32 bits"),
        ([(0, 33, 0)], [], "0x0/33 is no prefix"),
        ([(0, -1, 0)], [], "0x0/-1 is no prefix"),
        ([(1 << 32, 32, 0)], [], "0x100000000/32 is no prefix"),
        ([(-1, 32, 0)], [], "-0x1/32 is no prefix"),
        ([], [(1, 127, 0)], "0x1/127 is no prefix of 128 bits"),
        ([(0, 8, 1), (0, 8, 2)], [], "0x0/8 is there twice"),
        ([(0, 8, 65536)], [], "65536 is not within 0..65535"),
        ([(0, 8, -1)], [], "-1 is not within 0..65535"),
    ],
)
def test_what_is_no_prefix_is_refused(
    ipv4: list[tuple[int, int, int]], ipv6: list[tuple[int, int, int]], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        build_spans(ipv4, ipv6)


def test_a_default_that_is_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="65536 is not within"):
        build({}, 65536)


# ------------------------------------------------------------------------------------------------

GOOD = build({IPv4Network("192.0.2.0/24"): 3, IPv6Network("2001:db8::/32"): 4})


@pytest.mark.parametrize("length", range(len(GOOD)))
def test_a_truncated_map_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="not a prefix map"):
        PrefixMap(GOOD[:length])


def block(
    ipv4: tuple[int, ...],
    ipv6: tuple[int, ...],
    *values: int,
    shift4: int = 0,
    shift6: int = 0,
) -> bytes:
    """A map with these changes, and values that may not fit them: first of IPv6, then of IPv4.

    A family without changes has value 0. The shifts are added to where values begin, or to that 0.
    """
    at6 = 16 + 16 * len(ipv6) + 4 * len(ipv4)
    at4 = at6 + (2 * (len(ipv6) + 1) if ipv6 else 0)
    where4, where6 = at4 * bool(ipv4) + shift4, at6 * bool(ipv6) + shift6
    return b"".join(
        (
            struct.pack("<4I", len(ipv4), where4, len(ipv6), where6),
            *(change.to_bytes(16, "little") for change in ipv6),
            *(change.to_bytes(4, "little") for change in ipv4),
            struct.pack(f"<{len(values)}H", *values),
        )
    )


def test_such_blocks_are_accepted_where_nothing_is_wrong() -> None:
    assert PrefixMap(block((8, 9), (1 << 64,), 1, 2, 3, 4, 3)).value("0.0.0.8") == 4
    assert PrefixMap(block((), (9,), 1, 2, shift4=VALUE_MAX)).value("0.0.0.8") == VALUE_MAX
    assert PrefixMap(block((9,), (), 1, 2, shift6=7)).value("::") == 7


@pytest.mark.parametrize(
    "blob",
    [
        GOOD + bytes(2),
        struct.pack("<4I", 2**32 - 1, 16, 2**32 - 1, 16),
        block((9,), (9,), 1, 2, 3),
        block((9,), (9,), 1, 2, 3, 4, 5),
        block((9,), (9,), 1, 2, 3, 4, shift4=2),
        block((9,), (9,), 1, 2, 3, 4, shift4=-2),
        block((9,), (9,), 1, 2, 3, 4, shift6=2),
        block((9,), (9,), 1, 2, 3, 4, shift6=2**31),
        block((), (), shift4=65536),
        block((), (), shift6=65536),
        block((0,), (), 1, 2),
        block((), (0,), 1, 2),
        block((9, 9), (), 1, 2, 3),
        block((9, 8), (), 1, 2, 3),
        block((), (9, 9), 1, 2, 3),
        block((), (1 << 64, 9), 1, 2, 3),
        block((9,), (), 2, 2),
        block((), (9,), 2, 2),
    ],
    ids=[
        *("longer", "counts", "too few values", "too many values", "values of IPv4 later"),
        *("values of IPv4 earlier", "values of IPv6 later", "values of IPv6 far away"),
        *("a large value in IPv4", "a large value in IPv6"),
        *("IPv4 from 0", "IPv6 from 0", "equal IPv4", "descending IPv4", "equal IPv6"),
        *("descending IPv6", "no change of value in IPv4", "no change of value in IPv6"),
    ],
)
def test_an_invalid_map_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="not a prefix map"):
        PrefixMap(blob)
