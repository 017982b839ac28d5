"""The TCP door's listening sockets: one for every address that DNS is served at."""

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

# What the kernel may keep of one connection, for it doubles these: an answer of 64 KiB goes out in
# one call, and some hundred queries may wait. They do not grow as the kernel's own would.
SEND_BUFFER = 1 << 16
RECEIVE_BUFFER = 1 << 15

# Descriptors that are not connections: zones, queues, and two for each of some hundred addresses.
OTHER_DESCRIPTORS = 1000

TCP = Kind("TCP", socket.SOCK_STREAM, "tcp_connections = 0")


class TcpSlowPath(ListenerSockets):
    """The TCP door with its listening sockets, following the addresses that are served."""

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

    async def serve(self, addresses: Iterable[ServedAddress]) -> list[str]:
        """Listens at exactly these; returns a line for each that could not be opened.

        Sockets of addresses that are gone are closed when the door's thread has let go of them.
        """
        wanted = {(str(served.address), "dns", self.config.port) for served in addresses}
        failed = self._open_missing(wanted)
        await self._close_others(wanted)
        return failed

    async def drain(self) -> None:
        """Listens no more, and leaves clients that are connected the idle time to finish."""
        for opened in self._sockets.values():
            self.listener.remove(opened)
        with anyio.move_on_after(self.config.tcp_idle):
            while self.listener.counters()["open"]:
                await anyio.sleep(0.05)

    def notes(self) -> list[str]:
        """Where what was obtained may be less than was asked for."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit >= self.config.tcp_connections + OTHER_DESCRIPTORS:
            return []
        return [
            f"TCP: a limit of {limit} descriptors may be too low for tcp_connections = "
            f"{self.config.tcp_connections}: raise it (ulimit -n, LimitNOFILE in systemd)"
        ]

    def status(self, counters: Mapping[str, Any]) -> dict[str, Any]:
        """What ``xdpkit status --json`` says of it, beside the verdicts, by the door's counters."""
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
    """A non-blocking TCP socket that listens at ``address`` and ``port``.

    Connections inherit what is set here. ``idle_s`` is how long the kernel keeps what a client does
    not take; ``ifindex`` the scope of a link-local address. Raises SocketError.
    """
    with opening(TCP, address, port) as sock:
        sock.setblocking(False)
        # Connections of an instance before may still be in TIME_WAIT.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        # Answers are sent whole, as many as there are: nothing is to wait for more.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_USER_TIMEOUT, idle_s * 1000)
        bind(sock, address, port, ifindex)
        sock.listen(socket.SOMAXCONN)
    return sock
