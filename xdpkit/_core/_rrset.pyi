from typing import ClassVar

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
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def error(self, reason: str) -> ZoneError: ...
