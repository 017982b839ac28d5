"""Prefixes that may ask and prefixes that may not, compiled into what ``cext/access.h`` reads.

rules = build(allow=[parse_prefix("192.0.2.0/24")], deny=[parse_prefix("192.0.2.66")])
AccessList(rules).allowed("192.0.2.1")
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from xdpkit.toml_read import Table, shown

Prefix = IPv4Network | IPv6Network

HEADER = struct.Struct("<4I")
"""struct access_list: of IPv4, then of IPv6, the number of changes and address 0's answer."""
CHANGE_BYTES = {4: 4, 6: 16}

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


def build(allow: Collection[Prefix], deny: Collection[Prefix]) -> bytes:
    """What an ``AccessList`` takes: the longest prefix that holds an address decides.

    An address that none holds is allowed if ``allow`` is empty, else denied; in either family.
    Raises ValueError as ``check`` does.
    """
    check(allow, deny)
    answers = dict.fromkeys(allow, True) | dict.fromkeys(deny, False)
    ipv4_first, ipv4 = _flatten(answers, 4, default=not allow)
    ipv6_first, ipv6 = _flatten(answers, 6, default=not allow)
    header = HEADER.pack(len(ipv4), ipv4_first, len(ipv6), ipv6_first)
    return header + _packed(ipv6, 6) + _packed(ipv4, 4)


def check(allow: Collection[Prefix], deny: Collection[Prefix]) -> None:
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


def _flatten(
    answers: Mapping[Prefix, bool], version: int, *, default: bool
) -> tuple[bool, list[int]]:
    """The answer of address 0 and, ascending, the addresses at which the answer changes."""
    bits = 8 * CHANGE_BYTES[version]
    spans = sorted(
        (int(prefix.network_address), prefix.prefixlen, answer)
        for prefix, answer in answers.items()
        if prefix.version == version
    )
    # Behind the last address: ends whatever is open there.
    spans.append((1 << bits, bits, default))
    since = {0: default}
    # Two prefixes lie one in the other or apart, so those that hold an address are a stack.
    holding = [(2 << bits, default)]
    for start, length, answer in spans:
        while holding[-1][0] <= start:
            end, _ = holding.pop()
            since[end] = holding[-1][1]
        holding.append((start + (1 << (bits - length)), answer))
        since[start] = answer
    del since[1 << bits]

    changes = []
    now = since[0]
    for address, answer in since.items():
        if answer != now:
            changes.append(address)
            now = answer
    return since[0], changes


def _packed(changes: list[int], version: int) -> bytes:
    return b"".join(change.to_bytes(CHANGE_BYTES[version], "little") for change in changes)
