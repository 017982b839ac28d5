from collections.abc import Sequence
from typing import Final

from typing_extensions import disjoint_base

from xdpkit._core._rrset import RRset

GEO_ALL: Final[int]
GEO_CLASSES_MAX: Final[int]
GEO_DRAW: Final[int]
GEO_IMAGES: Final[int]
GEO_VARIANTS: Final[int]

@disjoint_base
class GeoTables:
    nodes: dict[bytes, tuple[list[tuple[int, int]], int]]
    images: list[RRset]
    def __init__(
        self,
        nodes: dict[bytes, tuple[list[tuple[int, int]], int]],
        draws: Sequence[tuple[int, int, int, int, bytes, bytes, bytes, bytes]],
        images: list[RRset],
        steps: Sequence[tuple[int, int, tuple[tuple[int, int, int], ...]]],
        variants: list[tuple[int, ...]],
        choices: Sequence[tuple[int, int, bytes]],
        statuses: list[str],
        view: bytes,
        classes: int,
    ) -> None: ...
