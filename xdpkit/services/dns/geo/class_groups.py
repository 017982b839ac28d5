"""Which classes of clients are one to a name: those that differ in nothing that matters to it."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.services.dns.geo.answer_search import Client
from xdpkit.services.dns.geo.classes import Classes
from xdpkit.services.dns.geo.targets import ANYWHERE, Targeting


@dataclass(frozen=True, slots=True)
class Groups:
    """The kinds of clients that a name has, and by class which of them its clients are."""

    clients: list[Client]
    of_class: dict[int, int]
    """Of the classes whose clients are not of the first kind."""


class ClassGroups:
    """Groups the classes of a view by a few targets, without a look at all of them each time."""

    def __init__(self, classes: Classes, targeting: Targeting) -> None:
        self._classes = classes
        self._nobody = Client((ANYWHERE,) if Targeting.GLOBAL in targeting else (), None)
        self._having: dict[str, list[int]] = {}
        """The classes of the clients that have a target."""
        for number, targets in enumerate(classes.classes):
            for target in targets:
                if target != ANYWHERE:
                    self._having.setdefault(target, []).append(number)
        self._known: dict[tuple[frozenset[str], bool], Groups] = {}

    def of(self, targets: frozenset[str], near: bool) -> Groups:
        """The groups where only these targets matter; with ``near`` also where clients are."""
        if (targets, near) not in self._known:
            self._known[targets, near] = self._of(targets, near)
        return self._known[targets, near]

    def _of(self, targets: frozenset[str], near: bool) -> Groups:
        everybody = self._classes.classes
        touched: set[int] = set()
        for target in targets:
            touched.update(self._having.get(target, ()))
        if near:
            touched.update(range(len(everybody)))
        number: dict[Client, int] = {}
        if len(touched) < len(everybody):
            number[self._nobody] = 0
        of_class: dict[int, int] = {}
        for each in sorted(touched):
            matter = tuple([one for one in everybody[each] if one == ANYWHERE or one in targets])
            client = Client(matter, self._classes.coordinates[each] if near else None)
            if index := number.setdefault(client, len(number)):
                of_class[each] = index
        return Groups(list(number), of_class)
