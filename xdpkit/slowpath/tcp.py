"""The TCP listener's listening sockets: one for every address on which DNS is served."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import anyio

from xdpkit._core._tcp_listener import TcpListener
from xdpkit._core._thread_state import ThreadState
from xdpkit.config import DnsConfig, ServedAddress
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.slowpath.listeners import Kind, ListenerSockets, bind, opening

# linux/tcp.h: not in Python's socket module.
TCP_USER_TIMEOUT = 18

# The kernel's buffers per connection, which it doubles: a 64 KiB answer goes out in one call, and
# several hundred queries can wait. Fixed sizes, so that the kernel does not autotune them.
SEND_BUFFER = 1 << 16
RECEIVE_BUFFER = 1 << 15

# Descriptors besides connections: zones, queues, and two per address for some hundred addresses.
OTHER_DESCRIPTORS = 1000

TCP = Kind("TCP", socket.SOCK_STREAM, "stop it, or set tcp_connections = 0")


class TcpSlowPath(ListenerSockets):
    """The TCP listener with its listening sockets, following the served addresses."""

    def __init__(self, publisher: SnapshotPublisher, config: DnsConfig, ifindex: int) -> None:
        self.config = config
        self.listener = TcpListener(
            publisher.shared,
            ThreadState(),
            connections=config.tcp_connections,
            idle_ns=config.tcp_idle * 1_000_000_000,
            queries=config.tcp_queries,
        )
        self._ifindex = ifindex
        super().__init__(publisher, self.listener, TCP)

    def open(self, addresses: Iterable[ServedAddress]) -> None:
        """Listens on these; ``close_others`` stops listening on others."""
        self._open_missing((str(served.address), "dns", self.config.port) for served in addresses)

    async def drain(self) -> None:
        """Stops listening, and gives connected clients the idle time to finish."""
        for opened in self._sockets.values():
            self.listener.remove(opened)
        with anyio.move_on_after(self.config.tcp_idle):
            while self.listener.counters()["open"]:
                await anyio.sleep(0.05)

    def notes(self) -> list[str]:
        """Lines for the startup summary where resources may fall short of the configuration."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit >= self.config.tcp_connections + OTHER_DESCRIPTORS:
            return []
        return [
            f"TCP: the limit of {limit} descriptors may be too low for tcp_connections = "
            f"{self.config.tcp_connections}: raise it (ulimit -n, LimitNOFILE in systemd)"
        ]

    def status(self, counters: Mapping[str, Any]) -> dict[str, Any]:
        """Its part of ``xdpkit status --json`` without the verdicts, from its counters."""
        shown = ("open", "accepted", "queries", "pauses")
        elsewhere = {*shown, "ended", "verdicts"}
        return {
            "listening": len(self._sockets),
            "connections": self.config.tcp_connections,
            **{name: counters[name] for name in shown},
            "ended": {reason: count for reason, count in counters["ended"].items() if count},
            "thread": self.listener.tid,
            "loop": {name: count for name, count in counters.items() if name not in elsewhere},
        }

    def _make(self, address: str, service: str, port: int) -> socket.socket:
        return open_listener(address, port, self._ifindex, self.config.tcp_idle)

    def _add(self, sock: socket.socket, service: str) -> None:
        self.listener.add(sock)


def open_listener(address: str, port: int, ifindex: int, idle_s: int) -> socket.socket:
    """A nonblocking TCP socket that listens on ``address`` and ``port``.

    Accepted connections get the options set here. ``idle_s`` is how long the kernel keeps
    unacknowledged data; ``ifindex`` is the scope of a link-local address. Raises SocketError.
    """
    with opening(TCP, address, port) as sock:
        sock.setblocking(False)
        # Connections of a previous instance may still be in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        # Complete answers are sent together already: nothing should wait for more.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, idle_s * 1000)
        bind(sock, address, port, ifindex)
        sock.listen(socket.SOMAXCONN)
    return sock
