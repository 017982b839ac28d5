"""Which targets matter to which name, and which names are just others: what a compiler need not do.

Clients that differ in no target that matters get the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.resolve import cut_of
from xdpkit.services.dns.geo.targets import ANYWHERE, Targeting, split_target


class Variants:
    """The variants of a zone's names."""

    def __init__(self, zone: GeoZone) -> None:
        self._zone = zone
        self._own: dict[str, set[str]] = {}
        users: dict[str, set[str]] = {}
        for key, label in zone.labels.items():
            split = split_target(key, zone.targeting)
            if split is not None:
                self._own.setdefault(split[0], set()).add(split[1])
            for alias in label.aliases:
                users.setdefault(alias.key, set()).update({key, split[0] if split else key})
        self._relevant = {name: frozenset(targets) for name, targets in self._own.items()}
        waiting = list(self._own)
        while waiting:
            name = waiting.pop()
            for user in users.get(name, ()):
                before = self._relevant.get(user, frozenset())
                if not self._relevant[name] <= before:
                    self._relevant[user] = before | self._relevant[name]
                    waiting.append(user)

    @property
    def targets(self) -> frozenset[str]:
        """All that have a label in the zone: what classes of clients must be told apart by."""
        return frozenset().union(*self._own.values())

    def targets_of(self, name: str) -> frozenset[str]:
        """The targets for which a name, or one that its aliases lead to, has a label."""
        return self._relevant.get(name, frozenset())

    def relevant(self, name: str, targets: Sequence[str]) -> tuple[str, ...]:
        """A client's targets without those that have no label for a name, or for one that its
        aliases lead to: the client's class there.
        """
        mattering = self._relevant.get(name, frozenset())
        return tuple(each for each in targets if each == ANYWHERE or each in mattering)

    def stand_in(self, name: str) -> str:
        """The name whose answers a name has, for every client and type but NS and SOA.

        Another one if the name is nothing but an alias, as a vendor's is.
        """
        zone, seen = self._zone, {name}
        while Targeting.GLOBAL in zone.targeting and name not in self._own:
            label = zone.labels.get(name)
            if label is None or label.records or len(label.aliases) != 1 or not name:
                break
            to = label.aliases[0].key
            if to in seen or to not in zone.names or cut_of(zone, to) is not None:
                break
            if cut_of(zone, name) is not None:
                break
            seen.add(to)
            name = to
        return name
