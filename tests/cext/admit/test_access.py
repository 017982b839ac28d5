"""Access lists: which sources are allowed, and which prefixes are refused."""

from __future__ import annotations

import random
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nested_prefixes import prefixes

from xdpkit._core._prefix_map import AccessList
from xdpkit.config.prefixes import PREFIXES_MAX, Prefix, parse_prefix
from xdpkit.services.access_list import build

Address = IPv4Address | IPv6Address


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[Prefix], list[Prefix]]:
    found = draw(st.lists(prefixes(4) | prefixes(6), max_size=24))
    answers = draw(st.lists(st.booleans(), min_size=len(found), max_size=len(found)))
    chosen = dict(zip(found, answers, strict=True))
    return [p for p in chosen if chosen[p]], [p for p in chosen if not chosen[p]]


def model(allow: list[Prefix], deny: list[Prefix], address: Address) -> bool:
    """Longest match by checking every prefix."""
    holding = [(p.prefixlen, p in allow) for p in (*allow, *deny) if address in p]
    return max(holding)[1] if holding else not allow


def edges(prefix: Prefix) -> set[Address]:
    """Where an answer may change: the ends of a prefix and the addresses next to them."""
    kind = type(prefix.network_address)
    first, last = int(prefix.network_address), int(prefix.broadcast_address)
    top = (1 << prefix.max_prefixlen) - 1
    return {kind(max(first - 1, 0)), kind(first), kind(last), kind(min(last + 1, top))}


@given(lists(), st.lists(st.ip_addresses(), max_size=8))
def test_the_longest_match_decides(
    both: tuple[list[Prefix], list[Prefix]], others: list[Address]
) -> None:
    allow, deny = both
    rules = AccessList(build(allow, deny))
    for address in {a for p in (*allow, *deny) for a in edges(p)} | set(others):
        assert rules.allowed(address) == model(allow, deny, address), address


@pytest.mark.parametrize("text", ["0.0.0.0", "255.255.255.255", "::", "ffff::", "192.0.2.1"])
def test_without_rules_everybody_is_allowed(text: str) -> None:
    assert AccessList(build([], [])).allowed(text)


def test_an_allow_list_denies_the_rest_in_both_families() -> None:
    rules = AccessList(build([IPv4Network("192.0.2.0/24")], [IPv4Network("192.0.2.66/32")]))
    assert rules.allowed("192.0.2.65")
    assert not rules.allowed("192.0.2.66")
    assert not rules.allowed("198.51.100.1")
    assert not rules.allowed("2001:db8::1")


def test_a_deny_list_alone_allows_the_rest() -> None:
    rules = AccessList(build([], [IPv6Network("2001:db8::/32")]))
    assert not rules.allowed("2001:db8::1")
    assert rules.allowed("2001:db9::1")
    assert rules.allowed("192.0.2.1")


def test_a_prefix_in_both_lists_is_refused() -> None:
    both = [IPv4Network("192.0.2.0/24")]
    with pytest.raises(ValueError, match=r"192\.0\.2\.0/24 is both allowed and denied: remove it"):
        build(both, both)


def test_a_prefix_may_appear_twice() -> None:
    twice = [IPv4Network("192.0.2.0/24")] * 2
    assert build(twice, []) == build(twice[:1], [])


def test_as_many_prefixes_as_promised() -> None:
    draw = random.Random(1)
    chosen = {
        ip_network((draw.getrandbits(bits) >> bits - length << bits - length, length))
        if bits == 128
        else IPv4Network((draw.getrandbits(32) >> 32 - length << 32 - length, length))
        for bits, lengths in ((32, (16, 24, 28, 32)), (128, (32, 48, 64, 128)))
        for length in lengths
        for _ in range(PREFIXES_MAX // 8)
    }
    every = sorted(chosen, key=str)
    allow, deny = every[::2], every[1::2]
    rules = AccessList(build(allow, deny))
    answers = dict.fromkeys(allow, True) | dict.fromkeys(deny, False)
    for prefix in draw.sample(every, 500):
        address = prefix.network_address
        longest = next(
            p
            for length in range(address.max_prefixlen, -1, -1)
            if (p := ip_network((address, length), strict=False)) in answers
        )
        assert rules.allowed(address) == answers[longest], address
    with pytest.raises(ValueError, match="100001 prefixes, 100000 fit"):
        build([IPv4Network((n, 32)) for n in range(PREFIXES_MAX + 1)], [])


# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, prefix",
    [
        ("192.0.2.0/24", IPv4Network("192.0.2.0/24")),
        ("192.0.2.1", IPv4Network("192.0.2.1/32")),
        ("0.0.0.0/0", IPv4Network("0.0.0.0/0")),
        ("2001:db8::/32", IPv6Network("2001:db8::/32")),
        ("2001:DB8::1", IPv6Network("2001:db8::1/128")),
        ("::/0", IPv6Network("::/0")),
    ],
)
def test_valid_prefixes(text: str, prefix: Prefix) -> None:
    assert parse_prefix(text) == prefix


@pytest.mark.parametrize(
    "text, reason",
    [
        (
            "192.0.2.1/24",
            "has bits set beyond its prefix length: write 192.0.2.0/24 or 192.0.2.1",
        ),
        (
            "2001:db8::1/32",
            "set beyond its prefix length: write 2001:db8::/32 or 2001:db8::1",
        ),
        ("192.0.2.0/33", "prefix length, 0 to 32"),
        ("2001:db8::/129", "prefix length, 0 to 128"),
        ("192.0.2.0/", "prefix length, 0 to 32"),
        ("192.0.2.0/-1", "prefix length, 0 to 32"),
        ("192.0.2.0/255.255.255.0", "prefix length, 0 to 32"),
        ("192.0.2.0/24/8", "prefix length, 0 to 32"),
        ("192.0.2", "not an IPv4 or IPv6 prefix or address"),
        ("192.0.2.01", "not an IPv4 or IPv6 prefix or address"),
        ("example.org", "not an IPv4 or IPv6 prefix or address"),
        ("", "not an IPv4 or IPv6 prefix or address"),
        ("fe80::%eth0/10", "without a scope"),
        ("::ffff:192.0.2.0/120", "IPv4-mapped source: write 192.0.2.0/24"),
    ],
)
def test_invalid_prefixes(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse_prefix(text)


@given(st.text(st.sampled_from("0123456789abcdef:./% -\u0663")) | st.text())
def test_parse_prefix_gives_a_prefix_or_says_why(text: str) -> None:
    try:
        prefix = parse_prefix(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parse_prefix(str(prefix)) == prefix
