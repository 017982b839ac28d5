from typing import Self, type_check_only

from typing_extensions import disjoint_base

from xdpkit._core._thread_state import Memory
from xdpkit._core._snapshot import Publisher
from xdpkit._core._stats import Counters
from xdpkit._core._thread import Thread
from xdpkit._core._xsk import XskSocket

@type_check_only
class WorkerCounters(Counters):
    tx_pending: int

@disjoint_base
class Worker(Thread):
    def __new__(
        cls,
        socket: XskSocket,
        publisher: Publisher,
        memory: Memory,
        cpu: int = -1,
        busy: bool = False,
        own_clock: bool = False,
        transmit: str = "kick",
    ) -> Self: ...
    @property
    def socket(self) -> XskSocket: ...
    @property
    def publisher(self) -> Publisher: ...
    @property
    def memory(self) -> Memory: ...
    def start(self) -> None: ...
    def park(self) -> None: ...
    def counters(self) -> WorkerCounters: ...
