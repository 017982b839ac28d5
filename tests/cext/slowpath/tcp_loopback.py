"""The TCP listener running on the loopback interface, in this process."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
from tcp_client import PATIENCE, TcpClient

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import SharedSnapshot, Snapshot
from xdpkit._core._tcp_listener import TcpListener
from xdpkit._core._thread_state import ThreadState
from xdpkit.slowpath.tcp import open_listener

# Longer than any test: for tests that are not about the idle time.
LONG_NS = 600_000_000_000

# Large answers consist of TXT records of this many bytes.
RECORD = 250


def sized(name: str, count: int) -> str:
    """Zone file lines: a name with ``count`` TXT records, about 263 bytes each in an answer."""
    return "".join(f'{name} TXT "{number:04}{"x" * (RECORD - 4)}"\n' for number in range(count))


def query(name: str, kind: str = "A", number: int = 1) -> bytes:
    """A query with EDNS and a UDP size of 1232, like most in practice."""
    return dns.message.make_query(name, kind, id=number, use_edns=0, payload=1232).to_wire()


class LoopbackServer:
    """A running TCP listener with one listening socket on 127.0.0.1."""

    def __init__(self, snapshot: Snapshot, **limits: int) -> None:
        self.shared = SharedSnapshot(snapshot)
        self.snapshot = snapshot
        given = {"connections": 64, "idle_ns": LONG_NS, "queries": 0} | limits
        self.listener = TcpListener(self.shared, ThreadState(), **given)
        self.socket = open_listener("127.0.0.1", 0, 0, PATIENCE_S)
        self.address: tuple[str, int] = self.socket.getsockname()
        self.listener.add(self.socket)
        self.listener.start()

    def connect(self, source: str = "127.0.0.1", **options: Any) -> TcpClient:
        """A client; every address in 127.0.0.0/8 is a separate source."""
        return TcpClient(self.address, source, **options)

    def expected(self, request: bytes) -> bytes:
        """The reply of the bytes call."""
        _, reply = answer(self.snapshot, "dns", request, tcp=True)
        assert reply is not None
        return reply

    def counters(self) -> dict[str, Any]:
        return self.listener.counters()

    def until(self, ask: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Waits until ``ask`` is true of the counters."""
        deadline = time.monotonic() + PATIENCE
        while not ask(counters := self.counters()):
            assert time.monotonic() < deadline, f"waited for {what}: {counters}"
            time.sleep(0.005)
        return counters

    def until_ended(self, **reasons: int) -> dict[str, Any]:
        """Waits until connections have closed with exactly these counts per reason."""

        def ended(counters: dict[str, Any]) -> bool:
            return {name: n for name, n in counters["ended"].items() if n} == reasons

        return self.until(ended, f"{reasons}")

    def close(self) -> None:
        self.listener.stop()
        self.listener.join()
        self.socket.close()


# For TCP_USER_TIMEOUT, which no test here is about.
PATIENCE_S = int(PATIENCE)


@contextmanager
def loopback_server(snapshot: Snapshot, **limits: int) -> Iterator[LoopbackServer]:
    """A running listener for the duration of the block."""
    server = LoopbackServer(snapshot, **limits)
    try:
        yield server
    finally:
        server.close()


def unread(client: TcpClient) -> bytes:
    """What has been received but not read yet."""
    return client.socket.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT)
