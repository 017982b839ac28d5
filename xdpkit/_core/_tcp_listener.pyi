from socket import socket
from typing import Any, Self

from typing_extensions import disjoint_base

from xdpkit._core._snapshot import SharedSnapshot
from xdpkit._core._thread import Thread
from xdpkit._core._thread_state import ThreadState

ENDS: dict[str, str]
QUERY_MAX: int

@disjoint_base
class TcpListener(Thread):
    def __new__(
        cls,
        shared: SharedSnapshot,
        state: ThreadState,
        *,
        connections: int,
        idle_ns: int,
        queries: int = 0,
    ) -> Self: ...
    @property
    def shared(self) -> SharedSnapshot: ...
    @property
    def state(self) -> ThreadState: ...
    def add(self, sock: socket) -> None: ...
    def remove(self, sock: socket) -> None: ...
    def start(self) -> None: ...
    def counters(self) -> dict[str, Any]: ...
