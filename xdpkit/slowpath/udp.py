"""The UDP listener's sockets: one for every address and service (``listeners``)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from ipaddress import IPv6Address

from xdpkit._core._thread_state import ThreadState
from xdpkit._core._udp_listener import UdpListener
from xdpkit.config import ServedAddress
from xdpkit.config.address import Address
from xdpkit.nic.os import udp_sockets as port_watch
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.slowpath import socket_filter
from xdpkit.slowpath.listeners import Kind, ListenerSockets, bind, opening

# linux asm-generic/socket.h, linux/in.h and linux/in6.h: not in Python's socket module.
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
IP_MTU_DISCOVER = 10
IPV6_MTU_DISCOVER = 23
PMTUDISC_PROBE = 3

# A burst of about 5,000 requests while the thread is off-CPU (the kernel charges 800 bytes each).
RECEIVE_BUFFER = 4 << 20

UDP = Kind("UDP", socket.SOCK_DGRAM, "stop it, or list other addresses in [interface] addresses")


class UdpSlowPath(ListenerSockets):
    """The UDP listener with its sockets, following the served addresses."""

    def __init__(self, publisher: SnapshotPublisher, state: ThreadState, ifindex: int) -> None:
        self.listener = UdpListener(publisher.shared, state)
        self._ifindex = ifindex
        super().__init__(publisher, self.listener, UDP)

    def open(
        self,
        addresses: Iterable[ServedAddress],
        ports: dict[str, int],
        own: Iterable[Address] = (),
    ) -> None:
        """Answers on these; ``close_others`` stops answering on others.

        ``own`` are this host's addresses, which no frame off the wire may have as its source.
        """
        self._open_missing(
            (str(served.address), service, port)
            for served in addresses
            for service, port in ports.items()
        )
        own_ipv6 = [address for address in own if isinstance(address, IPv6Address)]
        for opened in self._sockets.values():
            if opened.family == socket.AF_INET6:
                socket_filter.attach(opened, own_ipv6)

    def is_shared(self, port: int, addresses: Iterable[ServedAddress]) -> bool:
        """Whether another program's socket has the port on one of these addresses or a wildcard."""
        mine = (self._sockets, self.handed_over, self._freed)
        sockets = [opened for each in mine for opened in each.values()]
        ours = {os.fstat(opened.fileno()).st_ino for opened in sockets}
        return port_watch.is_held(port, ours, {served.address for served in addresses})

    def _make(self, address: str, service: str, port: int) -> socket.socket:
        return open_socket(address, service, port, self._ifindex)

    def _add(self, sock: socket.socket, service: str) -> None:
        self.listener.add(sock, service)


def open_socket(address: str, service: str, port: int, ifindex: int) -> socket.socket:
    """A nonblocking UDP socket bound to ``address`` and ``port``, set up for the listener.

    ``ifindex`` is the scope of a link-local address. Raises SocketError.
    """
    with opening(UDP, address, port) as sock:
        sock.setblocking(False)
        if service == "ntp":
            # chronyd's client sockets may use our port (acquisitionport 123). For other services,
            # sharing would silently take the port from a server that allows it to be shared.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        set_receive_buffer(sock)
        # PROBE: replies carry DF, and forged ICMP cannot make them smaller or fragmented.
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
        bind(sock, address, port, ifindex)
    return sock


def set_receive_buffer(sock: socket.socket) -> None:
    """Exceeds net.core.rmem_max if permitted (CAP_NET_ADMIN), else goes up to it."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
