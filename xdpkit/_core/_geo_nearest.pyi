from collections.abc import Sequence

from typing_extensions import disjoint_base

@disjoint_base
class Places:
    def __init__(self, coordinates: Sequence[Sequence[float] | None]) -> None: ...
    def nearest(self, client: Sequence[float] | None, hosts: int) -> list[int]: ...
