from typing import Final, NamedTuple, Self

from typing_extensions import disjoint_base

from xdpkit._core._source_table import SourceTable

class RrlRule(NamedTuple):
    rate: int = 50
    instant: int = 125
    slip: int = 1

RRL_BOUNDS: Final[dict[str, tuple[int, int]]]

@disjoint_base
class RrlTable(SourceTable):
    def __new__(cls, entries: int = 1 << 16, secret: bytes | None = None) -> Self: ...
    def passes(self, rule: RrlRule, source: bytes, now_ns: int) -> bool: ...
