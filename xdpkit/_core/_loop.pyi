from typing import Self, type_check_only

from typing_extensions import disjoint_base

from xdpkit._core._snapshot import SharedSnapshot
from xdpkit._core._stats import Counters
from xdpkit._core._thread import Thread
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._xsk import XskSocket

@type_check_only
class WorkerCounters(Counters):
    rx_pending: int
    tx_pending: int
    tx_lost: int

@disjoint_base
class Worker(Thread):
    def __new__(
        cls,
        socket: XskSocket,
        shared: SharedSnapshot,
        state: ThreadState,
        cpu: int = -1,
        busy: bool = False,
        own_clock: bool = False,
        transmit: str = "kick",
    ) -> Self: ...
    @property
    def socket(self) -> XskSocket: ...
    @property
    def shared(self) -> SharedSnapshot: ...
    @property
    def state(self) -> ThreadState: ...
    def start(self) -> None: ...
    def park(self) -> None: ...
    def counters(self) -> WorkerCounters: ...
