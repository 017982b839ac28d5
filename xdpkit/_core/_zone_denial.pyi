from typing_extensions import disjoint_base

from xdpkit._core._rrset import RRset
from xdpkit._core._zone_tree import Tree

class Flaw(Exception):
    reason: str
    rrset: RRset
    name: bytes
    other: bytes
    def __init__(
        self, reason: str, rrset: RRset, name: bytes = b"", other: bytes = b""
    ) -> None: ...

@disjoint_base
class Denial:
    def __init__(
        self, origin: bytes, error_at: RRset, hashing: tuple[int, bytes] | None
    ) -> None: ...
    @property
    def hashed(self) -> bool: ...
    @property
    def error_at(self) -> RRset: ...
    def take_hashed(self, nodes: dict[bytes, list[RRset]]) -> None: ...
    def link(self, tree: Tree) -> None: ...
