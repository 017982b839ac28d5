from collections.abc import Callable

from typing_extensions import disjoint_base

from xdpkit._core._geo_tables import GeoTables
from xdpkit._core._rrset import RRset
from xdpkit._core._zone_denial import Denial
from xdpkit._core._zone_tree import Tree

class ArenaTooLarge(Exception):
    rrset: RRset
    size: int
    def __init__(self, rrset: RRset, size: int) -> None: ...

@disjoint_base
class ArenaWriter:
    def __init__(
        self,
        tree: Tree,
        denial: Denial | None,
        fd: int,
        start: int,
        seed: int,
        most: int,
        geo: GeoTables | None = None,
    ) -> None: ...
    def write(
        self,
        soa: RRset,
        serial: int,
        names: int,
        negative_ttl: int,
        progress: Callable[[int], None] | None,
    ) -> int: ...
