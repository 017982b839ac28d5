"""The process at the other end of a connection, by a pidfd: whether it is gone, and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import anyio

from xdpkit.control.trust import peer
from xdpkit.runtime.closing import Closing

# asm-generic/socket.h, Linux 6.5: not in Python's socket module.
SO_PEERPIDFD = 77


class PeerProcess(Closing):
    """The process that connected. Where the kernel has no pidfd for it, it cannot be ended."""

    def __init__(self, connection: socket.socket) -> None:
        self.pid = peer(connection).pid
        """0 if it is in another PID namespace."""
        self._fd = _pidfd(connection, self.pid)

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


def _pidfd(connection: socket.socket, pid: int) -> int:
    """A descriptor for the process, or -1."""
    with contextlib.suppress(OSError):
        return connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD)
    with contextlib.suppress(OSError):
        return os.pidfd_open(pid) if pid else -1
    return -1
