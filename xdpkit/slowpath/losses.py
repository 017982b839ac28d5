"""What the kernel did not hand to a listener's sockets: counted for each, over all it has had.

A UDP socket drops what has no room in its receive buffer, what has a wrong checksum and, over IPv6,
what came off the wire with our own source address (``socket_filter``). A listening TCP socket drops
SYNs while its queue of connections is full.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from xdpkit.nic.os.socket_memory import WRAP, socket_memory
from xdpkit.slowpath.key import Key


class SocketLosses:
    """The losses of one listener's sockets; the kernel's counters have 32 bits, these all."""

    def __init__(self) -> None:
        self.closed = 0
        """Of sockets that are closed by now."""
        self._seen: dict[Key, int] = {}
        self._lost: dict[Key, int] = {}

    def begin(self, key: Key, sock: socket.socket) -> None:
        """Counts a socket from now on: what a predecessor's has lost was not lost by us."""
        self._seen[key], self._lost[key] = _drops(sock), 0

    def update(self, sockets: Mapping[Key, socket.socket]) -> Mapping[Key, int]:
        """What each of these has lost; to be called before one's counter can wrap."""
        for key, sock in sockets.items():
            if key not in self._seen:
                self.begin(key, sock)
            now = _drops(sock)
            self._lost[key] += (now - self._seen[key]) % WRAP
            self._seen[key] = now
        return {key: self._lost[key] for key in sockets}

    def end(self, key: Key, sock: socket.socket) -> None:
        """The last look at a socket that is about to be closed."""
        self.update({key: sock})
        self.closed += self._lost.pop(key)
        del self._seen[key]


def _drops(sock: socket.socket) -> int:
    try:
        return socket_memory(sock).drops
    except OSError:
        # A kernel without it counts nothing for us.
        return 0
