from collections.abc import Iterable
from typing import Self

from typing_extensions import disjoint_base

from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import Counters
from xdpkit._core._thread_state import ThreadState

@disjoint_base
class OffWire:
    def __new__(
        cls, snapshot: Snapshot, frames: Iterable[bytes], state: ThreadState | None = None
    ) -> Self: ...
    def run(self, answers: int, batch: int = 64) -> float: ...
    def arrival(
        self,
        hw_ns: int,
        xdp_ns: int,
        tai_ns: int,
        tai_offset_s: int = 37,
        own_clock: bool = False,
    ) -> int: ...
    def counters(self) -> Counters: ...
