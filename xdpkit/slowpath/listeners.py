"""The sockets of the slow path's listeners, opened and closed as addresses change.

Each is bound to one address: a wildcard :53 would collide with a local resolver, and a reply must
come from the address that was queried.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import NamedTuple, Protocol

from xdpkit.errors import PortTakenError, SocketError
from xdpkit.runtime.capability import Capability
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.runtime.reasons import failed
from xdpkit.slowpath.key import Key
from xdpkit.slowpath.losses import SocketLosses

# linux/in.h and linux/in6.h: not in Python's socket module.
IP_FREEBIND = 15
IPV6_FREEBIND = 78

# How many refused sockets are tried again at a time: 64 calls of bind take some 200 us.
MOST_TRIES = 64


class Kind(NamedTuple):
    """What a listener's sockets are, and what to do where another program has the port."""

    protocol: str
    """UDP or TCP."""
    type: socket.SocketKind
    remedy: str


class Listener(Protocol):
    """What the owner of the sockets needs from either listener."""

    @property
    def done(self) -> bool: ...
    def remove(self, sock: socket.socket) -> None: ...
    def stop(self) -> None: ...
    def join(self) -> None: ...


class ListenerSockets(ABC):
    """A listener's sockets, following the served addresses; a subclass creates them."""

    def __init__(self, publisher: SnapshotPublisher, listener: Listener, kind: Kind) -> None:
        self._publisher = publisher
        self._listener = listener
        self._kind = kind
        self.handed_over: dict[Key, socket.socket] = {}
        """Sockets from a predecessor, used instead of new ones."""
        self.refused: dict[Key, SocketError] = {}
        """Wanted sockets that could not be opened, and why."""
        self.losses = SocketLosses()
        self._sockets: dict[Key, socket.socket] = {}
        self._freed: dict[Key, socket.socket] = {}
        """Opened by ``try_again``, until they are used."""
        self._wanted: frozenset[Key] = frozenset()
        self._closing: list[socket.socket] = []

    @property
    def sockets(self) -> Mapping[Key, socket.socket]:
        """The sockets in use."""
        return self._sockets

    @abstractmethod
    def _make(self, address: str, service: str, port: int) -> socket.socket:
        """A new socket. Raises SocketError."""

    @abstractmethod
    def _add(self, sock: socket.socket, service: str) -> None:
        """Adds a socket to the listener. Raises OSError."""

    @property
    def protocol(self) -> str:
        """UDP or TCP."""
        return self._kind.protocol

    def _open(self, key: Key) -> socket.socket:
        """Adds a predecessor's or a new socket to the listener. Raises SocketError."""
        address, service, port = key
        there = self.handed_over.pop(key, None) or self._freed.pop(key, None)
        sock = there or self._make(address, service, port)
        with opening(self._kind, address, port, sock):
            self._add(sock, service)
        return sock

    def _open_missing(self, wanted: Iterable[Key]) -> None:
        """Opens missing sockets; ``refused`` has those that could not be opened."""
        self.refused = {}
        self._wanted = frozenset(wanted)
        for key in sorted(self._wanted - self._sockets.keys()):
            try:
                self._sockets[key] = self._open(key)
            except SocketError as error:
                self.refused[key] = error
            else:
                self.losses.begin(key, self._sockets[key])
        while self._freed:
            self._freed.popitem()[1].close()

    def try_again(self) -> bool:
        """Whether one of the refused sockets can be opened now; the next ``open`` uses it.

        At most MOST_TRIES are tried, in turn.
        """
        for key in list(islice(self.refused, MOST_TRIES)):
            try:
                self._freed[key] = self._make(*key)
            except SocketError:
                self.refused[key] = self.refused.pop(key)
            else:
                return True
        return False

    def lost(self) -> Mapping[Key, int]:
        """What each socket in use has lost; ``losses.closed`` has what others have."""
        return self.losses.update(self._sockets)

    async def close_others(self) -> None:
        """Closes what the last ``open`` did not want, after a grace period of its thread."""
        unwanted = self._sockets.keys() - self._wanted
        for key in unwanted:
            self.losses.end(key, self._sockets[key])
        gone = [self._sockets.pop(key) for key in unwanted]
        for old in gone:
            self._listener.remove(old)
        if gone:
            self._publisher.change()
            # Without a quiescent state the sockets stay open: the thread may be reading one.
            self._closing += gone
            await self._publisher.wait_for_grace_period()
            while self._closing:
                self._closing.pop().close()

    async def close(self, deadline: ShutdownDeadline) -> bool:
        """Stops the thread and closes the sockets; returns whether it ended in time."""
        self._listener.stop()
        if not await deadline.wait(lambda: self._listener.done):
            return False
        self._listener.join()
        for opened in (*self._sockets.values(), *self._closing, *self._freed.values()):
            opened.close()
        self._sockets.clear()
        return True


@contextmanager
def opening(
    kind: Kind, address: str, port: int, sock: socket.socket | None = None
) -> Iterator[socket.socket]:
    """A socket, new if none is given, to set up in the ``with`` block; closed if that fails.

    Raises SocketError for an OSError.
    """
    try:
        if sock is None:
            sock = socket.socket(family(address), kind.type)
        yield sock
    except OSError as error:
        if sock is not None:
            sock.close()
        raise _open_error(kind, address, port, error) from error


def bind(sock: socket.socket, address: str, port: int, ifindex: int) -> None:
    """Binds to one address, even one that the host does not have yet. Raises OSError.

    ``ifindex`` is the scope of a link-local address.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
        sock.bind((address, port, 0, ifindex if address.startswith("fe80:") else 0))
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        sock.bind((address, port))


def family(address: str) -> socket.AddressFamily:
    """The address family of a textual address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _open_error(kind: Kind, address: str, port: int, error: OSError) -> SocketError:
    """A socket call's errno as a message for the operator."""
    protocol = kind.protocol
    where = f"{protocol} [{address}]:{port}" if ":" in address else f"{protocol} {address}:{port}"
    if error.errno == errno.EADDRINUSE:
        return PortTakenError(f"{where} is in use by another program: {kind.remedy}")
    return SocketError(failed(where, error, Capability.NET_BIND_SERVICE))
