"""Connections of the control plane's own servers: accepted, read and written by the event loop."""

from __future__ import annotations

import re
import socket

import anyio

# Pause when the process is out of descriptors: accept would fail again at once.
_RETRY_SECONDS = 0.1


async def accept(listener: socket.socket) -> socket.socket:
    """The next connection, non-blocking; the caller must close it."""
    while True:
        await anyio.wait_readable(listener)
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            continue
        except OSError:
            await anyio.sleep(_RETRY_SECONDS)
            continue
        connection.setblocking(False)
        return connection


async def read_until(
    connection: socket.socket, terminator: re.Pattern[bytes], limit: int
) -> bytes | None:
    """What arrives before the terminator, of at most 3 bytes, or ``limit`` bytes without it.

    None if the client closes the connection before that. The caller sets a time limit.
    """
    received = bytearray()
    while len(received) < limit:
        await anyio.wait_readable(connection)
        try:
            part = connection.recv(limit - len(received))
        except BlockingIOError:
            continue
        except OSError:
            return None
        if not part:
            return None
        unsearched = max(0, len(received) - 2)
        received += part
        if found := terminator.search(received, unsearched):
            return bytes(received[: found.start()])
    return bytes(received)


async def send_all(connection: socket.socket, data: bytes) -> None:
    """Sends all of it, or as much as a client takes that closes; the caller sets a time limit."""
    unsent = memoryview(data)
    while unsent:
        await anyio.wait_writable(connection)
        try:
            unsent = unsent[connection.send(unsent) :]
        except BlockingIOError:
            continue
        except OSError:
            return
