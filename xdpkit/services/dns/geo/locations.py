"""What is known of where addresses are: the databases of a directory, and an operator's map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from xdpkit.services.dns.geo.places import Fact, PlaceTable, client_fact


@dataclass(frozen=True, slots=True)
class Locations:
    """All tables by their kinds."""

    tables: Mapping[str, PlaceTable]

    def fact(self, address: IPv4Address | IPv6Address) -> Fact:
        """What is known of an address: the reference for views, and what ``query`` shows."""
        return client_fact({kind: table.fact(address) for kind, table in self.tables.items()})
