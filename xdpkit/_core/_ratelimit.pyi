from typing import Final, NamedTuple, Self

from typing_extensions import disjoint_base

from xdpkit._core._source_table import SourceTable

class RateLimitRule(NamedTuple):
    interval: int = 3
    burst: int = 8
    leak: int = 2
    kod: int = 0
    ipv4_prefix: int = 32
    ipv6_prefix: int = 64

RATELIMIT_BOUNDS: Final[dict[str, tuple[int, int]]]
OUTCOMES: Final[tuple[str, ...]]

@disjoint_base
class RateLimitTable(SourceTable):
    def __new__(cls, entries: int = 1 << 20, secret: bytes | None = None) -> Self: ...
    def check(self, rule: RateLimitRule, source: bytes, now_ns: int, random: int) -> str: ...
