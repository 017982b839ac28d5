"""What the labels of a name have, and those that its aliases lead to."""

from __future__ import annotations

from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.targets import split_target
from xdpkit.services.dns.zonefile.zone import NS

CLOSEST = -1
"""Among the types: some label is ``closest``."""


def reached_types(zone: GeoZone) -> dict[str, frozenset[int]]:
    """The types that a name may have records of, by name; those that have none are left out."""
    own: dict[str, set[int]] = {}
    users: dict[str, set[str]] = {}
    for key, label in zone.labels.items():
        split = split_target(key, zone.targeting)
        names = {key, split[0] if split else key}
        for name in names if label.records else ():
            own.setdefault(name, set()).update(label.records, [CLOSEST] if label.closest else ())
        for alias in label.aliases:
            users.setdefault(alias.key, set()).update(names)
    found = {name: frozenset(types) for name, types in own.items()}
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        # NS records are never an alias's.
        types = found[name] - {NS}
        for user in users.get(name, ()):
            before = found.get(user, frozenset())
            if not types <= before:
                found[user] = before | types
                waiting.append(user)
    return found
