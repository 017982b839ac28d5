"""The control socket ``@xdpkit/IFACE``: the lock between instances, and the server of requests.

The instance that holds the name serves the interface; the kernel releases it with the process. The
protocol is described in ``client``. Each client has limited time and bytes, and strangers have
their own limit on connections, so that nobody can lock out root's ``reload``.
"""

from __future__ import annotations

import errno
import json
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from xdpkit.control.client import (
    REQUEST_LIMIT,
    Peer,
    RequestError,
    address,
    connect,
    instances,
    peer,
    request,
)
from xdpkit.errors import ControlError, XdpkitError
from xdpkit.runtime.faults import faults
from xdpkit.runtime.listener import Listener
from xdpkit.runtime.stream import read_until, send_all

__all__ = ["ControlServer", "Handler", "RequestError", "instances", "request"]

Handler = Callable[[], Awaitable[dict[str, Any]]]

ConnectionHandler = Callable[[socket.socket], Awaitable[None]]
"""Answers a verb by itself, over a duplicate of the connection, which it must close."""

# Verbs that change nothing are open to every user of the machine.
OPEN_VERBS = frozenset({"status"})

# Simultaneous connections of root and our own user; everybody else has as many.
_MOST_CONNECTIONS = 8
_READ_SECONDS = 2.0
_WRITE_SECONDS = 5.0

# A newline inside is part of a malformed request.
_LINE_END = re.compile(rb"\n\Z")


class ControlServer(Listener[Peer]):
    """The server's end; ``handlers`` maps each verb to the coroutine function that answers it, or
    ``connection_handlers`` to one that takes over the connection.

    ``bind`` takes the name and ``close`` releases it: the lock outlasts ``serve``, so that the next
    instance starts only after this one has cleaned up. Errors are ControlErrors.
    """

    unit = "control"

    def __init__(
        self,
        ifname: str,
        handlers: Mapping[str, Handler] | None = None,
        connection_handlers: Mapping[str, ConnectionHandler] | None = None,
    ) -> None:
        super().__init__(socket.AF_UNIX, address(ifname))
        self.ifname = ifname
        self.handlers = dict(handlers or {})
        self.connection_handlers = dict(connection_handlers or {})
        self._connections = {True: 0, False: 0}

    def adopt(self, listener: socket.socket) -> None:
        """Takes over a listening socket that already has the name."""
        listener.setblocking(False)
        self._listener = listener

    def _bind_error(self, error: OSError) -> ControlError:
        """Names the process that holds the name, if one does."""
        if error.errno == errno.EADDRINUSE:
            return ControlError(self._holder())
        return ControlError(f"{self.ifname}: control socket: {error.strerror}")

    def _admit(self, connection: socket.socket) -> Peer | None:
        client = peer(connection)
        if self._connections[client.trusted] >= _MOST_CONNECTIONS:
            _turn_away(connection)
            return None
        self._connections[client.trusted] += 1
        return client

    def _release(self, client: Peer) -> None:
        self._connections[client.trusted] -= 1

    async def _attend(self, connection: socket.socket, client: Peer) -> None:
        line = None
        with anyio.move_on_after(_READ_SECONDS):
            line = await read_until(connection, _LINE_END, REQUEST_LIMIT)
        take_over = self.connection_handlers.get(_verb(line or b""))
        if take_over and client.trusted:
            await take_over(connection.dup())
        elif line is not None:
            answer = await self._answer(line, client)
            with anyio.move_on_after(_WRITE_SECONDS):
                await send_all(connection, _encode(answer))

    async def _answer(self, line: bytes, client: Peer) -> dict[str, Any]:
        verb = _verb(line)
        handler = self.handlers.get(verb)
        if handler is None:
            return _error("the running instance does not know this request")
        if verb not in OPEN_VERBS and not client.trusted:
            return _error(f"{verb} is for root and the user that runs xdpkit: use sudo")
        try:
            return {"reply": await handler()}
        except XdpkitError as error:
            return _error(*error.lines(), exit_code=error.exit_code)
        except OSError as error:
            return _error(f"{verb}: {error}")
        except Exception as error:
            return _error(f"{verb}: a fault of xdpkit itself: {faults.record(self.unit, error)}")

    def _holder(self) -> str:
        """Who holds the name, and what to do about it."""
        try:
            with connect(self.ifname, time_limit=0.5) as connection:
                holder = peer(connection)
        except OSError:
            return f"another xdpkit serves {self.ifname}: stop it, or serve another interface"
        pid = f"pid {holder.pid}" if holder.pid else "in another PID namespace"
        if not holder.trusted:
            return (
                f"{self.ifname}: the control socket @xdpkit/{self.ifname} is held by a process"
                f" ({pid}) of user {holder.uid}: stop that first"
            )
        return f"another xdpkit serves {self.ifname} ({pid}): stop it, or serve another interface"


def _turn_away(connection: socket.socket) -> None:
    """Refuses without waiting: the send buffer of a new connection has room for one line."""
    with connection:
        try:
            connection.send(_encode(_error("too many connections at the same time: try again")))
        except OSError:
            return


def _verb(line: bytes) -> str:
    """The verb of a request; empty if it is malformed."""
    try:
        verb = json.loads(line)["verb"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return ""
    return verb if isinstance(verb, str) else ""


def _error(*reasons: str, exit_code: int = 1) -> dict[str, Any]:
    return {"error": reasons[0], "errors": reasons, "exit_code": exit_code}


def _encode(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
