"""All zones served together, and the alias chains of CNAMEs and DNAMEs through them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from xdpkit._core._limits import DNS_ALIASES_MAX, ZONE_NAME_MAX
from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler.tree import LookupResult, NameMatch, Tree
from xdpkit.services.dns.zonefile.error_list import directory_error
from xdpkit.services.dns.zonefile.zone import CNAME, DNAME, RRset, Zone, find, is_below, parent

# A question may meet DNAMEs before a chain that was followed here: as many again.
ALIASES_MAX = DNS_ALIASES_MAX
NAME_MAX = ZONE_NAME_MAX


@dataclass(frozen=True, slots=True)
class AliasStep:
    """A name in an alias chain, its zone, and its lookup result there."""

    tree: Tree
    name: bytes
    result: LookupResult

    @property
    def rrsets(self) -> list[RRset]:
        """The records of the node that was found."""
        return self.tree.nodes[self.result.node]

    @property
    def wildcard(self) -> bool:
        """Whether the name is expanded from a wildcard."""
        return self.result.match is NameMatch.WILDCARD


@dataclass(frozen=True, slots=True)
class AliasChain:
    """The names that an alias leads through.

    ``end`` is None if the last target is not in any served zone, closes a loop, or exceeds the
    limit. With ``overflow``, a DNAME would have made the name too long: YXDOMAIN (RFC 6672
    section 2.2).
    """

    steps: tuple[AliasStep, ...]
    end: AliasStep | None
    overflow: bool = False


class Forest:
    """The trees of all zones. Raises ZoneError with what their Trees raise."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        zones = list(zones)
        origins = {zone.origin for zone in zones}
        self.trees: dict[bytes, Tree] = {}
        refused: list[ZoneError] = []
        for zone in zones:
            inner = {o for o in origins if o != zone.origin and is_below(o, zone.origin)}
            try:
                self.trees[zone.origin] = Tree(zone, frozenset(inner))
            except ZoneError as error:
                refused.append(error)
        if refused:
            raise directory_error(refused)

    def zone_of(self, name: bytes) -> Tree | None:
        """The zone with the longest name that contains this name."""
        while name:
            tree = self.trees.get(name)
            if tree is not None:
                return tree
            name = parent(name)
        return None

    def parent_of(self, tree: Tree) -> Tree | None:
        """The parent zone, if it is also served."""
        return self.zone_of(parent(tree.origin))

    def locate(self, name: bytes) -> AliasStep | None:
        """Looks a name up; None if it is not in any zone."""
        tree = self.zone_of(name)
        return AliasStep(tree, name, tree.lookup(name)) if tree else None

    def follow_aliases(self, tree: Tree, node: bytes) -> AliasChain:
        """Follows the CNAME at a node."""
        steps: list[AliasStep] = []
        step: AliasStep | None = AliasStep(tree, node, LookupResult(NameMatch.EXACT, node))
        seen: set[bytes] = set()
        while step is not None:
            target = self._target(step)
            if target is None:
                return AliasChain(tuple(steps), step)
            if step.name in seen or len(steps) == ALIASES_MAX:
                break
            seen.add(step.name)
            steps.append(step)
            if len(target) > NAME_MAX:
                return AliasChain(tuple(steps), None, overflow=True)
            step = self.locate(target)
        return AliasChain(tuple(steps), None)

    def _target(self, step: AliasStep) -> bytes | None:
        """The target of the alias, if the name is one."""
        if step.result.match is NameMatch.DNAME:
            return dname_target(step)
        if step.result.match in (NameMatch.EXACT, NameMatch.WILDCARD):
            for alias in find(step.rrsets, CNAME):
                return alias.rdatas[0].lower()
        return None


def dname_target(step: AliasStep) -> bytes:
    """The name with the DNAME's owner replaced by its target; may be too long for a name."""
    target = find(step.rrsets, DNAME)[0].rdatas[0].lower()
    return step.name[: len(step.name) - len(step.result.node)] + target
