"""The TCP door at work on the loopback interface, in this process."""

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

# Longer than any test, for those that are not about it.
LONG_NS = 600_000_000_000

# TXT records of this many bytes make up large answers.
RECORD = 250


def sized(name: str, count: int) -> str:
    """Lines of a zone: a name with so many TXT records, some 263 bytes of its answer each."""
    return "".join(f'{name} TXT "{number:04}{"x" * (RECORD - 4)}"\n' for number in range(count))


def query(name: str, kind: str = "A", number: int = 1) -> bytes:
    """A query with EDNS and a size of 1232, as most that come."""
    return dns.message.make_query(name, kind, id=number, use_edns=0, payload=1232).to_wire()


class Talking:
    """A running door with one listening socket at 127.0.0.1."""

    def __init__(self, snapshot: Snapshot, **limits: int) -> None:
        self.shared = SharedSnapshot(snapshot)
        self.snapshot = snapshot
        given = {"connections": 64, "idle_ns": LONG_NS, "queries": 0} | limits
        self.door = TcpListener(self.shared, ThreadState(), **given)
        self.listener = open_listener("127.0.0.1", 0, 0, PATIENCE_S)
        self.address: tuple[str, int] = self.listener.getsockname()
        self.door.add(self.listener)
        self.door.start()

    def connect(self, source: str = "127.0.0.1", **options: Any) -> TcpClient:
        """A client; every address of 127.0.0.0/8 is another source."""
        return TcpClient(self.address, source, **options)

    def says(self, request: bytes) -> bytes:
        """What the bytes door answers."""
        _, reply = answer(self.snapshot, "dns", request, tcp=True)
        assert reply is not None
        return reply

    def counters(self) -> dict[str, Any]:
        return self.door.counters()

    def until(self, ask: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """Waits for the counters to be so."""
        deadline = time.monotonic() + PATIENCE
        while not ask(counters := self.counters()):
            assert time.monotonic() < deadline, f"waited for {what}: {counters}"
            time.sleep(0.005)
        return counters

    def until_ended(self, **reasons: int) -> dict[str, Any]:
        """Waits until connections ended for these reasons, so many each, and no others."""

        def ended(counters: dict[str, Any]) -> bool:
            return {name: n for name, n in counters["ended"].items() if n} == reasons

        return self.until(ended, f"{reasons}")

    def close(self) -> None:
        self.door.stop()
        self.door.join()
        self.listener.close()


# TCP_USER_TIMEOUT's, nothing here is about.
PATIENCE_S = int(PATIENCE)


@contextmanager
def talking(snapshot: Snapshot, **limits: int) -> Iterator[Talking]:
    """A door for the length of a block."""
    server = Talking(snapshot, **limits)
    try:
        yield server
    finally:
        server.close()


def unread(client: TcpClient) -> bytes:
    """What has come and was not read yet."""
    return client.socket.recv(1 << 20, socket.MSG_PEEK | socket.MSG_DONTWAIT)
