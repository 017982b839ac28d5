"""All zones served together, and where a chain of CNAMEs and DNAMEs leads through them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xdpkit.services.dns.compiler.tree import Match, Place, Tree
from xdpkit.services.dns.zonefile.zone import CNAME, DNAME, RRset, Zone, find, is_below, parent

# A longer chain is a mistake, and resolvers give up earlier (NSD stops at 18). cext/dns/compose.c
# has it too, for the DNAMEs that a question meets before a chain that was followed here.
CHAIN_MAX = 16

NAME_MAX = 255


@dataclass(frozen=True, slots=True)
class Step:
    """A name on the way, the zone that it is in, and where it lies there."""

    tree: Tree
    name: bytes
    place: Place

    @property
    def rrsets(self) -> list[RRset]:
        """The records at the place."""
        return self.tree.nodes[self.place.node]

    @property
    def wildcard(self) -> bool:
        """Whether a wildcard stands in for the name."""
        return self.place.match is Match.WILDCARD


@dataclass(frozen=True, slots=True)
class Chain:
    """The names that an alias leads through.

    ``end`` is None when the last one is in no zone served, comes back to where the chain was, or is
    one too many. With ``overflow``, a DNAME would have made it too long: YXDOMAIN (RFC 6672
    section 2.2).
    """

    steps: tuple[Step, ...]
    end: Step | None
    overflow: bool = False


class Forest:
    """The trees of all zones. Raises ZoneError as Tree does."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        zones = list(zones)
        origins = {zone.origin for zone in zones}
        self.trees: dict[bytes, Tree] = {}
        for zone in zones:
            inner = {o for o in origins if o != zone.origin and is_below(o, zone.origin)}
            self.trees[zone.origin] = Tree(zone, frozenset(inner))

    def zone_of(self, name: bytes) -> Tree | None:
        """The zone with the longest name that this one is in."""
        while name:
            tree = self.trees.get(name)
            if tree is not None:
                return tree
            name = parent(name)
        return None

    def above(self, tree: Tree) -> Tree | None:
        """The zone that a zone's name is delegated in, if it is served too."""
        return self.zone_of(parent(tree.origin))

    def step(self, name: bytes) -> Step | None:
        """Where a name lies; None if it is in no zone."""
        tree = self.zone_of(name)
        return Step(tree, name, tree.place(name)) if tree else None

    def chain(self, tree: Tree, node: bytes) -> Chain:
        """Follows the CNAME at a node."""
        steps: list[Step] = []
        step: Step | None = Step(tree, node, Place(Match.EXACT, node))
        seen: set[bytes] = set()
        while step is not None:
            target = self._target(step)
            if target is None:
                return Chain(tuple(steps), step)
            if step.name in seen or len(steps) == CHAIN_MAX:
                break
            seen.add(step.name)
            steps.append(step)
            if len(target) > NAME_MAX:
                return Chain(tuple(steps), None, overflow=True)
            step = self.step(target)
        return Chain(tuple(steps), None)

    def _target(self, step: Step) -> bytes | None:
        """What the name is another name for, if it is."""
        if step.place.match is Match.DNAME:
            return replaced(step)
        if step.place.match in (Match.EXACT, Match.WILDCARD):
            for alias in find(step.rrsets, CNAME):
                return alias.rdatas[0].lower()
        return None


def replaced(step: Step) -> bytes:
    """The name with its DNAME's owner replaced by the target; may be too long for a name."""
    target = find(step.rrsets, DNAME)[0].rdatas[0].lower()
    return step.name[: len(step.name) - len(step.place.node)] + target
