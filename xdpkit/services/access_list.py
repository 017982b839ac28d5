"""Allowed and denied prefixes, compiled into a prefix map with the values 1 and 0.

rules = build(allow=[parse_prefix("192.0.2.0/24")], deny=[parse_prefix("192.0.2.66")])
AccessList(rules).allowed("192.0.2.1")
"""

from __future__ import annotations

from collections.abc import Collection

from xdpkit.config.prefixes import Prefix, check_prefixes
from xdpkit.services import prefix_map


def build(allow: Collection[Prefix], deny: Collection[Prefix]) -> bytes:
    """The data of an ``AccessList``: the longest prefix that contains an address decides.

    An address in no prefix is allowed if ``allow`` is empty, else denied; in either family.
    Raises ValueError as ``check_prefixes`` does.
    """
    check_prefixes(allow, deny)
    answers = dict.fromkeys(allow, 1) | dict.fromkeys(deny, 0)
    return prefix_map.build(answers, default=int(not allow))
