"""The kernel door's sockets: one for every address and service, opened and closed as these change.

Each is bound to its address: a wildcard :53 would collide with a local resolver, and a reply must
come from the address that was asked.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from ipaddress import IPv6Address

import anyio

from xdpkit import port_watch, socket_filter
from xdpkit.cext._door import KernelDoor
from xdpkit.cext._memory import Memory
from xdpkit.config import ServedAddress
from xdpkit.errors import SocketError
from xdpkit.nic.interface import Address
from xdpkit.publication import Publication

# linux asm-generic/socket.h, linux/in.h and linux/in6.h: not in Python's socket module.
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
IP_FREEBIND = 15
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
IPV6_FREEBIND = 78
PMTUDISC_PROBE = 3

# A burst of some 5,000 requests while the thread is off its CPU (the kernel counts 800 bytes each).
RECEIVE_BUFFER = 4 << 20

# How long the thread may take for its last batch.
DRAIN_SECONDS = 1.0

Key = tuple[str, str, int]


class SlowPath:
    """The kernel door with its sockets, following the addresses that are served."""

    def __init__(self, publication: Publication, memory: Memory, ifindex: int) -> None:
        self._publication = publication
        self._ifindex = ifindex
        self._sockets: dict[Key, socket.socket] = {}
        self._gone: list[socket.socket] = []
        self.door = KernelDoor(publication.publisher, memory)

    async def serve(
        self,
        addresses: Iterable[ServedAddress],
        ports: dict[str, int],
        own: Iterable[Address] = (),
    ) -> list[str]:
        """Answers on exactly these; returns a line for each that could not be opened.

        ``own`` are this host's addresses, which no frame off a wire may come from. Sockets of
        addresses that are gone are closed when the door's thread has let go of them.
        """
        wanted = {
            (str(served.address), service, port)
            for served in addresses
            for service, port in ports.items()
        }
        failed = []
        for key in sorted(wanted - self._sockets.keys()):
            try:
                self._add(key)
            except SocketError as error:
                failed.append(str(error))
        own_ipv6 = [address for address in own if isinstance(address, IPv6Address)]
        for opened in self._sockets.values():
            if opened.family == socket.AF_INET6:
                socket_filter.attach(opened, own_ipv6)
        gone = [self._sockets.pop(key) for key in self._sockets.keys() - wanted]
        for old in gone:
            self.door.remove(old)
        if gone:
            self._publication.change()
            # If the thread does not pass, the sockets stay open: it may be reading one.
            self._gone += gone
            await self._publication.passed()
            while self._gone:
                self._gone.pop().close()
        return failed

    def is_shared(self, port: int, addresses: Iterable[ServedAddress]) -> bool:
        """Whether another program's socket has the port at one of these addresses, or at all."""
        ours = {os.fstat(opened.fileno()).st_ino for opened in self._sockets.values()}
        return port_watch.is_held(port, ours, {served.address for served in addresses})

    def _add(self, key: Key) -> None:
        address, service, port = key
        opened = open_socket(address, service, port, self._ifindex)
        try:
            self.door.add(opened, service)
        except OSError as error:
            opened.close()
            raise bind_error(address, port, error) from error
        self._sockets[key] = opened

    async def close(self) -> bool:
        """Ends the thread and closes the sockets; returns whether it did end within a second."""
        self.door.stop()
        with anyio.move_on_after(DRAIN_SECONDS):
            while not self.door.done:
                await anyio.sleep(0.005)
        if not self.door.done:
            return False
        self.door.join()
        for opened in (*self._sockets.values(), *self._gone):
            opened.close()
        self._sockets.clear()
        return True


def open_socket(address: str, service: str, port: int, ifindex: int) -> socket.socket:
    """A non-blocking UDP socket bound to ``address`` and ``port``, set up as the door needs it.

    ``ifindex`` is the scope of a link-local address. Raises SocketError.
    """
    ipv6 = ":" in address
    try:
        sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise bind_error(address, port, error) from error
    try:
        sock.setblocking(False)
        if service == "ntp":
            # A chronyd's client sockets may have our port (acquisitionport 123). For other services
            # sharing would take the port from a server that lets it be shared, without a word.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        set_receive_buffer(sock)
        # PROBE: replies carry DF and no forged ICMP can make them smaller or fragmented.
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
            scope = ifindex if address.startswith("fe80:") else 0
            sock.bind((address, port, 0, scope))
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
            sock.bind((address, port))
    except OSError as error:
        sock.close()
        raise bind_error(address, port, error) from error
    return sock


def set_receive_buffer(sock: socket.socket) -> None:
    """Beyond net.core.rmem_max where we may (CAP_NET_ADMIN), else as far as that goes."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def bind_error(address: str, port: int, error: OSError) -> SocketError:
    """What the errno of a socket call means for the person at the terminal."""
    place = f"UDP [{address}]:{port}" if ":" in address else f"UDP {address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return SocketError(
            f"{place} is taken by another program ('ss -lunp sport = :{port}' shows it): stop it, "
            "or set slow_path = false"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return SocketError(f"{place}: no permission: run as root, or with CAP_NET_BIND_SERVICE")
    return SocketError(f"{place}: {error.strerror}")
