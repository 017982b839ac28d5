"""The slow path of an instance: the UDP and the TCP listener, as far as the configuration asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from socket import socket

from xdpkit.config import Config, ServedAddress
from xdpkit.config.address import Address
from xdpkit.nic.os.port_holders import PortHolders
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.runtime.thread_state import new_thread_state
from xdpkit.slowpath.key import Key
from xdpkit.slowpath.not_served import NotServed, not_served
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath


class SlowPath:
    """The listeners: none with ``slow_path = false``, and ``tcp`` is None without DNS over TCP."""

    def __init__(
        self,
        config: Config,
        publisher: SnapshotPublisher,
        ifindex: int,
        holders: PortHolders | None = None,
    ) -> None:
        self.udp: UdpSlowPath | None = None
        self.tcp: TcpSlowPath | None = None
        self._ports = config.ports()
        self._holders = holders or PortHolders(self._ports.values())
        self.not_served: frozenset[NotServed] = frozenset()
        """Where the slow path does not answer, though it should."""
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

    def open(
        self, addresses: list[ServedAddress], reserved: list[Address], left: frozenset[str]
    ) -> None:
        """Answers on these, as far as their sockets can be opened: see ``not_served``.

        The services ``left`` are left to other programs. ``reserved`` are this host's addresses.
        """
        ports = {name: port for name, port in self._ports.items() if name not in left}
        if self.udp:
            self.udp.open(addresses, ports, reserved)
        if self.tcp:
            self.tcp.open(addresses)
        self._name_holders()

    async def close_others(self) -> None:
        """Stops answering on whatever the last ``open`` did not want."""
        for _, path in self.listeners():
            await path.close_others()

    def _name_holders(self) -> None:
        if any(path.refused for _, path in self.listeners()):
            self._holders.read()
        self.not_served = frozenset(
            not_served(path.protocol.lower(), key, error, self._holders)
            for _, path in self.listeners()
            for key, error in path.refused.items()
        )

    def try_again(self) -> bool:
        """Whether a port that could not be had is free now: ``open`` must follow."""
        # A list: both are tried.
        return any([path.try_again() for _, path in self.listeners()])

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
