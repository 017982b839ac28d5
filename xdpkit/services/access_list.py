"""Allowed and denied prefixes, compiled into a prefix map with the values of ``runtime/access.h``.

rules = rules(allow=[parse_prefix("192.0.2.0/24")], deny=[parse_prefix("192.0.2.66")])
access(rules).allowed("192.0.2.1")
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from xdpkit._core._limits import ACCESS_ALLOWED, ACCESS_DENIED, ACCESS_NO_ROUTE
from xdpkit._core._prefix_map import AccessList
from xdpkit.config.prefixes import Prefix, check_prefixes
from xdpkit.services import prefix_map
from xdpkit.services.prefix_map import Flat, Span


@dataclass(frozen=True)
class Rules:
    """Who may ask, or where routes lead nowhere: a flat prefix map of each family."""

    ipv4: Flat
    ipv6: Flat


_ALL = Rules(([], [ACCESS_ALLOWED]), ([], [ACCESS_ALLOWED]))


def build(allow: Collection[Prefix], deny: Collection[Prefix]) -> bytes:
    """The data of an ``AccessList``: the longest prefix that contains an address decides.

    An address in no prefix is allowed if ``allow`` is empty, else denied; in either family.
    Raises ValueError as ``check_prefixes`` does.
    """
    made = rules(allow, deny) or _ALL
    return prefix_map.pack(made.ipv4, made.ipv6)


def rules(allow: Collection[Prefix], deny: Collection[Prefix]) -> Rules | None:
    """The same, to which routes can be added; None if everybody is allowed."""
    check_prefixes(allow, deny)
    if not allow and not deny:
        return None
    spans: dict[int, list[Span]] = {4: [], 6: []}
    for prefixes, value in ((allow, ACCESS_ALLOWED), (deny, ACCESS_DENIED)):
        for prefix in set(prefixes):
            span = (int(prefix.network_address), prefix.prefixlen, value)
            spans[prefix.version].append(span)
    default = ACCESS_DENIED if allow else ACCESS_ALLOWED
    return Rules(*(prefix_map.flatten(spans[version], version, default) for version in (4, 6)))


def routes(ipv4: Iterable[Span], ipv6: Iterable[Span]) -> Rules:
    """Routes: the value of a span is whether it leads nowhere, 1, or somewhere, 0."""
    return Rules(prefix_map.flatten(ipv4, 4, 0), prefix_map.flatten(ipv6, 6, 0))


def access(rules: Rules | None, nowhere: Rules | None = None) -> AccessList | None:
    """The list for the answering threads; None if it would allow everybody.

    Whoever is allowed, but where the routes of ``nowhere`` lead, has ACCESS_NO_ROUTE.
    """
    made = rules or _ALL
    if nowhere is not None:
        made = Rules(
            prefix_map.combine(made.ipv4, nowhere.ipv4, _with_route),
            prefix_map.combine(made.ipv6, nowhere.ipv6, _with_route),
        )
    return None if made == _ALL else AccessList(prefix_map.pack(made.ipv4, made.ipv6))


def _with_route(listed: int, nowhere: int) -> int:
    return ACCESS_NO_ROUTE if listed == ACCESS_ALLOWED and nowhere else listed
