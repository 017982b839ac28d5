from collections.abc import Sequence

from typing_extensions import disjoint_base

from xdpkit.cext._snapshot import Snapshot

@disjoint_base
class OffWire:
    def __init__(self, snapshot: Snapshot, frames: Sequence[bytes]) -> None: ...
    def run(self, answers: int, batch: int = 64) -> float: ...
    def counters(self) -> dict[str, object]: ...
