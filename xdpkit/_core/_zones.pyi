from collections.abc import Iterable

from typing_extensions import Buffer, disjoint_base

def zone_slots() -> dict[bytes, int]: ...

@disjoint_base
class ZoneArena:
    size: int
    """Bytes."""

    def __init__(self, data: Buffer) -> None: ...
    @staticmethod
    def read(fd: int, at: int, size: int) -> ZoneArena: ...
    @property
    def name(self) -> bytes: ...
    @property
    def serial(self) -> int: ...
    @property
    def names(self) -> int: ...
    def view(self) -> memoryview: ...

@disjoint_base
class ZoneServing:
    @property
    def arena(self) -> ZoneArena: ...

@disjoint_base
class ZoneDirectory:
    size: int
    """Bytes, without the arenas."""

    def __init__(
        self,
        zones: Iterable[tuple[bytes, ZoneArena | None]],
        servings: dict[bytes, ZoneServing] | None = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
