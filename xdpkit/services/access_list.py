"""Allowed and denied prefixes, compiled into the table that ``cext/admit/access.h`` reads.

rules = build(allow=[parse_prefix("192.0.2.0/24")], deny=[parse_prefix("192.0.2.66")])
AccessList(rules).allowed("192.0.2.1")
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

from xdpkit.config.prefixes import Prefix, check_prefixes

HEADER = struct.Struct("<4I")
"""struct access_list: for IPv4, then IPv6, the number of changes and the answer for address 0."""
CHANGE_BYTES = {4: 4, 6: 16}


def build(allow: Collection[Prefix], deny: Collection[Prefix]) -> bytes:
    """The data of an ``AccessList``: the longest prefix that contains an address decides.

    An address in no prefix is allowed if ``allow`` is empty, else denied; in either family.
    Raises ValueError as ``check_prefixes`` does.
    """
    check_prefixes(allow, deny)
    answers = dict.fromkeys(allow, True) | dict.fromkeys(deny, False)
    ipv4_first, ipv4 = _flatten(answers, 4, default=not allow)
    ipv6_first, ipv6 = _flatten(answers, 6, default=not allow)
    header = HEADER.pack(len(ipv4), ipv4_first, len(ipv6), ipv6_first)
    return header + _packed(ipv6, 6) + _packed(ipv4, 4)


def _flatten(
    answers: Mapping[Prefix, bool], version: int, *, default: bool
) -> tuple[bool, list[int]]:
    """The answer for address 0 and, ascending, the addresses at which the answer changes."""
    bits = 8 * CHANGE_BYTES[version]
    spans = sorted(
        (int(prefix.network_address), prefix.prefixlen, answer)
        for prefix, answer in answers.items()
        if prefix.version == version
    )
    # Past the last address: closes whatever is still open there.
    spans.append((1 << bits, bits, default))
    since = {0: default}
    # Two prefixes are nested or disjoint, so those that contain an address form a stack.
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
