"""Prefixes of addresses, as access lists have them."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from xdpkit.config.toml_document import Table, shown

Prefix = IPv4Network | IPv6Network

PREFIXES_MAX = 100_000
"""In both lists together: some seconds to read them, and 18 steps of a look-up at most."""


def parse_prefix(text: str) -> Prefix:
    """Read ``192.0.2.0/24``, ``2001:db8::/32``, or a single address as the prefix of all its bits.

    Raises ValueError, with the fix, for anything else and for bits that are set behind the prefix.
    """
    host, slash, length = text.partition("/")
    if "%" in host:
        raise ValueError("write the prefix without a scope: it counts on every interface")
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 prefix or address, as in 192.0.2.0/24") from None
    bits = _length(length, address.max_prefixlen) if slash else address.max_prefixlen
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped and bits >= 96:
            ipv4 = IPv4Network((address.ipv4_mapped, bits - 96), strict=False)
            raise ValueError(f"no packet has an IPv4-mapped source: write {ipv4}")
        prefix: Prefix = IPv6Network((address, bits), strict=False)
    else:
        prefix = IPv4Network((address, bits), strict=False)
    if prefix.network_address != address:
        raise ValueError(f"{text} has bits set behind its prefix: write {prefix} or {address}")
    return prefix


def read_prefixes(table: Table, key: str) -> tuple[Prefix, ...]:
    """An array of prefixes in a configuration; absent is empty. Raises ConfigError at one."""
    prefixes = []
    for index, text in enumerate(table.strings(key)):
        try:
            prefixes.append(parse_prefix(text))
        except ValueError as error:
            raise table.error((key, index), f"{shown(text)}: {error}") from error
    return tuple(prefixes)


def check_prefixes(allow: Collection[Prefix], deny: Collection[Prefix]) -> None:
    """Raises ValueError for a prefix that is in both lists, and for more than PREFIXES_MAX."""
    if (count := len(allow) + len(deny)) > PREFIXES_MAX:
        raise ValueError(f"{count} prefixes, {PREFIXES_MAX} fit: join neighbours to shorter ones")
    denied = set(deny)
    for prefix in allow:
        if prefix in denied:
            raise ValueError(f"{prefix} is both allowed and denied: remove it from one list")


def _length(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= most):
        raise ValueError(f"after / comes the prefix length, 0 to {most}")
    return int(text)
