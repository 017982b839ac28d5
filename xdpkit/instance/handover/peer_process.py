"""The process at the other end of a connection, by a pidfd: whether it is gone, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import anyio

from xdpkit.control.trust import peer, peer_pidfd
from xdpkit.runtime.closing import Closing


class PeerProcess(Closing):
    """The process that connected. Where the kernel has no pidfd for it, it cannot be ended."""

    def __init__(self, connection: socket.socket) -> None:
        self.pid = peer(connection).pid
        """0 if it is in another PID namespace."""
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = peer_pidfd(connection, self.pid)

    async def wait_gone(self, seconds: float | None) -> bool:
        """Waits for its end, which is that of all its threads; returns whether it has come.

        True at once where there is no pidfd: the caller has seen its connection close.
        """
        if self._fd < 0:
            return True
        with anyio.move_on_after(seconds):
            await anyio.wait_readable(self._fd)
            return True
        return False

    def kill(self) -> bool:
        """Sends SIGKILL, which ends a stopped process too; returns whether that was permitted."""
        if self._fd < 0:
            return False
        try:
            signal.pidfd_send_signal(self._fd, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
