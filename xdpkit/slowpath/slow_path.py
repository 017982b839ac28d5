"""The slow path of an instance: the UDP and the TCP listener, as far as the configuration asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from socket import socket

from xdpkit.config import Config, ServedAddress
from xdpkit.config.address import Address
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.runtime.thread_state import new_thread_state
from xdpkit.slowpath.listeners import Key
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath


class SlowPath:
    """The listeners: none with ``slow_path = false``, and ``tcp`` is None without DNS over TCP."""

    def __init__(self, config: Config, publisher: SnapshotPublisher, ifindex: int) -> None:
        self.udp: UdpSlowPath | None = None
        self.tcp: TcpSlowPath | None = None
        self._ports = config.ports()
        if config.interface.slow_path:
            state = new_thread_state(config.ntp, config.dns)
            self.udp = UdpSlowPath(publisher, state, ifindex)
            if config.dns and config.dns.tcp_connections:
                self.tcp = TcpSlowPath(publisher, config.dns, ifindex)

    def listeners(self) -> Iterator[tuple[str, UdpSlowPath | TcpSlowPath]]:
        """Those that there are, with their protocol's name."""
        if self.udp:
            yield "UDP", self.udp
        if self.tcp:
            yield "TCP", self.tcp

    def start(self) -> None:
        """Starts the threads, which have no sockets yet."""
        for _, path in self.listeners():
            path.listener.start()

    def take_over(self, udp: dict[Key, socket], tcp: dict[Key, socket]) -> None:
        """Uses a predecessor's sockets instead of new ones; what is used is taken out."""
        if self.udp:
            self.udp.handed_over = udp
        if self.tcp:
            self.tcp.handed_over = tcp

    async def serve(
        self, addresses: list[ServedAddress], reserved: list[Address], left: frozenset[str]
    ) -> list[str]:
        """Answers on exactly these; returns a line for each socket that could not be opened.

        The services ``left`` are left to other programs. ``reserved`` are this host's addresses.
        """
        ports = {name: port for name, port in self._ports.items() if name not in left}
        problems = await self.udp.serve(addresses, ports, reserved) if self.udp else []
        return problems + (await self.tcp.serve(addresses) if self.tcp else [])

    async def drain(self) -> None:
        """Gives connected clients the idle time to finish."""
        if self.tcp:
            await self.tcp.drain()

    async def close(self, deadline: ShutdownDeadline) -> bool:
        """Stops the threads and closes the sockets; returns whether all ended in time.

        If one cannot be closed, the other is closed nevertheless.
        """
        ended = []

        async def close(path: UdpSlowPath | TcpSlowPath) -> None:
            ended.append(await path.close(deadline))

        async with AsyncExitStack() as stack:
            for _, path in self.listeners():
                stack.push_async_callback(close, path)
        return all(ended)


def sockets(path: UdpSlowPath | TcpSlowPath | None) -> Mapping[Key, socket]:
    """The sockets of a listener, if there is one."""
    return path.sockets if path else {}
