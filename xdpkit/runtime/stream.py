"""Connections of the control plane's own servers: accepted and written to by the event loop."""

from __future__ import annotations

import socket

import anyio

# Pause when the process is out of descriptors: accept would fail again at once.
_RETRY_SECONDS = 0.1


async def accept(listener: socket.socket) -> socket.socket:
    """The next connection, non-blocking; the caller's to close."""
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


async def send_all(connection: socket.socket, text: bytes) -> None:
    """Writes all of it, or what a client takes that goes; the caller sets a time limit."""
    left = memoryview(text)
    while left:
        await anyio.wait_writable(connection)
        try:
            left = left[connection.send(left) :]
        except BlockingIOError:
            continue
        except OSError:
            return
