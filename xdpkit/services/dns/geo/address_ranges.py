"""Single addresses and networks that a zone has labels for, as a table of ranges."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import NamedTuple

from xdpkit.services.dns.geo.location_table import BITS, Prefix, RangeTable, table_of_prefixes
from xdpkit.services.dns.geo.targets import address_targets


class AddressTargets(NamedTuple):
    """What a range of addresses has of them."""

    targets: tuple[str, ...] = ()
    """Those that all its addresses have, the most specific first."""
    exact: tuple[IPv6Address, ...] = ()
    """Single addresses of a /64 that have one more: IPv6's ranges go no further."""


NO_TARGETS = AddressTargets()


def address_ranges(targets: Iterable[str]) -> RangeTable[AddressTargets]:
    """The table of those that are addresses."""
    mine = {each: ip_address(each[1:-1]) for each in targets if each.startswith("[")}
    found: dict[Prefix, AddressTargets] = {}
    exact: dict[Prefix, list[IPv6Address]] = {}
    for target, address in mine.items():
        network = _network(address, BITS[address.version])
        if address_targets(address)[1] == target:
            found[_network(address, 24 if address.version == 4 else 48)] = AddressTargets((target,))
        elif isinstance(address, IPv4Address):
            found[network] = AddressTargets(_of(address, mine))
        else:
            exact.setdefault(network, []).append(address)
    for network, addresses in exact.items():
        shared = _of(addresses[0], mine)[1:]
        found[network] = AddressTargets(shared, tuple(sorted(addresses)))
    return table_of_prefixes(list(found.items()), NO_TARGETS)


def _network(address: IPv4Address | IPv6Address, length: int) -> Prefix:
    return ip_network((address, length), strict=False)


def _of(address: IPv4Address | IPv6Address, known: Iterable[str]) -> tuple[str, ...]:
    """The targets of an address among those that are known."""
    return tuple(dict.fromkeys(each for each in address_targets(address) if each in known))
