"""Address prefixes, as used in access lists."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from xdpkit.config.toml_document import Table, quoted

Prefix = IPv4Network | IPv6Network

PREFIXES_MAX = 100_000
"""In both lists together: a few seconds to read, and at most 18 steps for a lookup."""


def parse_prefix(text: str) -> Prefix:
    """Reads ``192.0.2.0/24``, ``2001:db8::/32``, or an address as the prefix of its full length.

    Raises ValueError, with the fix, for anything else and for bits set beyond the prefix length.
    """
    host, slash, length = text.partition("/")
    if "%" in host:
        raise ValueError("write the prefix without a scope: it applies on every interface")
    try:
        address = ip_address(host)
    except ValueError:
        raise ValueError("not an IPv4 or IPv6 prefix or address, such as 192.0.2.0/24") from None
    bits = _length(length, address.max_prefixlen) if slash else address.max_prefixlen
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped and bits >= 96:
            ipv4 = IPv4Network((address.ipv4_mapped, bits - 96), strict=False)
            raise ValueError(f"no packet has an IPv4-mapped source: write {ipv4}")
        prefix: Prefix = IPv6Network((address, bits), strict=False)
    else:
        prefix = IPv4Network((address, bits), strict=False)
    if prefix.network_address != address:
        raise ValueError(
            f"{text} has bits set beyond its prefix length: write {prefix} or {address}"
        )
    return prefix


def read_prefixes(table: Table, key: str) -> tuple[Prefix, ...]:
    """An array of prefixes. Raises ConfigError for the first wrong one."""
    prefixes = []
    for index, text in enumerate(table.strings(key)):
        try:
            prefixes.append(parse_prefix(text))
        except ValueError as error:
            raise table.error((key, index), f"{quoted(text)}: {error}") from error
    return tuple(prefixes)


def check_prefixes(allow: Collection[Prefix], deny: Collection[Prefix]) -> None:
    """Raises ValueError for a prefix in both lists, and for more than PREFIXES_MAX."""
    if (count := len(allow) + len(deny)) > PREFIXES_MAX:
        raise ValueError(f"{count} prefixes, {PREFIXES_MAX} fit: merge adjacent ones")
    denied = set(deny)
    for prefix in allow:
        if prefix in denied:
            raise ValueError(f"{prefix} is both allowed and denied: remove it from one list")


def check_lists(table: Table, allow: tuple[Prefix, ...], deny: tuple[Prefix, ...]) -> None:
    """The same for the keys ``allow`` and ``deny`` of a table. Raises ConfigError."""
    try:
        check_prefixes(allow, deny)
    except ValueError as error:
        raise table.error("deny" if deny else "allow", str(error)) from error


def _length(text: str, longest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= longest):
        raise ValueError(f"after / comes the prefix length, 0 to {longest}")
    return int(text)
