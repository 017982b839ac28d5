from socket import socket
from typing import Any, Self

from typing_extensions import disjoint_base

from xdpkit._core._thread_state import Memory
from xdpkit._core._snapshot import Publisher
from xdpkit._core._thread import Thread

ENDS: dict[str, str]
QUERY_MAX: int

@disjoint_base
class TcpDoor(Thread):
    def __new__(
        cls,
        publisher: Publisher,
        memory: Memory,
        *,
        connections: int,
        idle_ns: int,
        queries: int = 0,
    ) -> Self: ...
    @property
    def publisher(self) -> Publisher: ...
    @property
    def memory(self) -> Memory: ...
    def add(self, sock: socket) -> None: ...
    def remove(self, sock: socket) -> None: ...
    def start(self) -> None: ...
    def counters(self) -> dict[str, Any]: ...
