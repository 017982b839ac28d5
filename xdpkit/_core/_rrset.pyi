from typing_extensions import disjoint_base

from xdpkit.errors import ZoneError

@disjoint_base
class RRset:
    ttl: int
    rdatas: list[bytes]
    def __init__(
        self,
        rdtype: int,
        covers: int,
        ttl: int,
        path: str,
        line: int,
        rdatas: list[bytes] | None = None,
    ) -> None: ...
    @property
    def rdtype(self) -> int: ...
    @property
    def covers(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def line(self) -> int: ...
    def error(self, reason: str) -> ZoneError: ...
