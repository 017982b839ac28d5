"""Standard error that never blocks: a reader that does not read costs log lines, counted.

    what it is                    how it is written
    a pipe, a terminal            by an open file description of our own, non-blocking: the one that
                                  other processes have too stays as it is
    a socket (systemd's journal)  without waiting (MSG_DONTWAIT)
    a file                        as it is
    anything else                 as it is, after a look whether it can take more

Lines are written whole or not at all; once they can be written again, one line says how many were
lost. A full disk counts the same.
"""

from __future__ import annotations

import io
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import ExitStack

import anyio

# Until text without an end of line is written nevertheless.
_MOST_PENDING = 1 << 16

# Between two looks whether lost lines can be reported.
_PUMP_SECONDS = 0.5

_FD = 2


class StandardError(io.TextIOBase):
    """In the place of ``sys.stderr``; ``lost`` counts the lines that nobody will read."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, fd: int = _FD) -> None:
        self._fd = fd
        self._owned = ExitStack()
        self._send = _sender(fd, self._owned)
        self._pending = ""
        # Of a line that was written in part.
        self._tail = b""
        self._unsaid = 0
        self.lost = 0

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)

    def close(self) -> None:
        """Closes what is its own; the descriptor stays open."""
        super().close()
        self._owned.close()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Writes complete lines; the rest waits for the end of its line, or ``flush``."""
        complete, end, rest = (self._pending + text).rpartition("\n")
        self._pending = rest
        self._put(complete + end)
        if len(rest) > _MOST_PENDING:
            self.flush()
        return len(text)

    def flush(self) -> None:
        """Writes an incomplete line, such as a progress bar."""
        text, self._pending = self._pending, ""
        self._put(text)

    def _put(self, text: str) -> None:
        data = text.encode(self.encoding, self.errors)
        if not data:
            return
        if not self.pump():
            self._lose(data)
            return
        left = self._push(data)
        if len(left) < len(data):
            self._tail = left
        else:
            self._lose(data)

    def _push(self, data: bytes) -> bytes:
        """Writes what can be written now; returns the rest."""
        while data and (sent := self._send(data)):
            data = data[sent:]
        return data

    def _lose(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self.lost += lines
        self._unsaid += lines

    def pump(self) -> bool:
        """Writes what is left of a line, and how many were lost; returns whether all is written."""
        self._tail = self._push(self._tail)
        if self._tail:
            return False
        if self._unsaid:
            line = (
                f"xdpkit: {self._unsaid} lines of this log were lost: they could not be written "
                "(its reader did not read, or its disk was full)\n"
            ).encode()
            left = self._push(line)
            if left == line:
                return False
            self._unsaid, self._tail = 0, left
        return not self._tail

    async def run(self) -> None:
        """Reports lost lines as soon as they can be written, until canceled."""
        while True:
            await anyio.sleep(_PUMP_SECONDS)
            self.pump()


def install() -> StandardError:
    """Puts one in the place of ``sys.stderr``, for logs, progress bars and tracebacks."""
    stream = StandardError()
    if sys.stderr is not None:
        sys.stderr.flush()
    sys.stderr = stream
    return stream


def lost_lines() -> int:
    """How many lines of this process's log were lost."""
    return sys.stderr.lost if isinstance(sys.stderr, StandardError) else 0


def _sender(fd: int, owned: ExitStack) -> Callable[[bytes], int]:
    """A function that writes what can be written now, and returns how many bytes that was."""
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        # Closed: what has this number later is something else.
        return lambda data: len(data)
    if stat.S_ISSOCK(mode):
        return _socket_sender(owned.enter_context(socket.socket(fileno=os.dup(fd))))
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            own = os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:
            return _careful(fd)
        owned.callback(os.close, own)
        return lambda data: _write(own, data)
    if stat.S_ISREG(mode):
        return lambda data: _write(fd, data)
    return _careful(fd)


def _socket_sender(connection: socket.socket) -> Callable[[bytes], int]:
    def send(data: bytes) -> int:
        try:
            return connection.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return 0

    return send


def _careful(fd: int) -> Callable[[bytes], int]:
    """For a description that is shared, and so must stay blocking."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    def send(data: bytes) -> int:
        # A pipe that is writable takes PIPE_BUF bytes (pipe(7)).
        return _write(fd, data[: select.PIPE_BUF]) if poll.poll(0) else 0

    return send


def _write(fd: int, data: bytes) -> int:
    try:
        return os.write(fd, data)
    except OSError:
        return 0
