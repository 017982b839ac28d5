"""The control socket ``@xdpkit/IFACE``: the lock between instances and the door for questions.

Whoever holds the name serves the interface; the kernel frees it with the process. The protocol is
in ``control_client``. A client has bounded time and bounded bytes, and strangers have their own,
bounded, number of connections, so that nobody keeps root's ``reload`` out.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Self

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
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.stream import accept, send_all

__all__ = ["ControlServer", "Handler", "RequestError", "instances", "request"]

Handler = Callable[[], Awaitable[dict[str, Any]]]

Taker = Callable[[socket.socket], Awaitable[None]]
"""Answers a verb by itself; the connection, a duplicate, is the taker's."""

# What changes nothing is answered to every user of the machine.
OPEN_VERBS = frozenset({"status"})

# Connections at a time, for root and our own user and, apart, for everybody else.
_MOST_CONNECTIONS = 8
_BACKLOG = 64
_READ_SECONDS = 2.0
_WRITE_SECONDS = 5.0


class ControlServer(Closing):
    """The server's end; ``handlers`` gives the coroutine function that answers each verb, or, in
    ``takers``, that has the connection from there on.

    ``bind`` takes the name, ``serve`` answers until cancelled, ``close`` gives the name back: the
    lock outlasts ``serve``, so that the next instance starts only after this one has cleaned up.
    """

    def __init__(
        self,
        ifname: str,
        handlers: Mapping[str, Handler],
        takers: Mapping[str, Taker] | None = None,
    ) -> None:
        self.ifname = ifname
        self.handlers = dict(handlers)
        self.takers = dict(takers or {})
        self._listener: socket.socket | None = None
        self._connections = {True: 0, False: 0}

    def __enter__(self) -> Self:
        self.bind()
        return self

    @property
    def listener(self) -> socket.socket:
        """What holds the name. Raises ControlError before there is one."""
        if self._listener is None:
            raise ControlError(f"{self.ifname}: control socket: not bound")
        return self._listener

    def adopt(self, listener: socket.socket) -> None:
        """Takes a listening socket that has the name already."""
        listener.setblocking(False)
        self._listener = listener

    def bind(self) -> None:
        """Take the name and listen.

        Raises ControlError when another process holds it, and says which.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            listener.bind(address(self.ifname))
            # At once: the kernel notes here the credentials that clients see.
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise ControlError(f"{self.ifname}: control socket: {error.strerror}") from error
            raise ControlError(self._holder()) from error
        self._listener = listener

    def close(self) -> None:
        """Give the name back; a second time is harmless."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def serve(self) -> None:
        """Answer clients until cancelled."""
        listener = self.listener
        async with anyio.create_task_group() as tasks:
            while True:
                connection = await accept(listener)
                client = peer(connection)
                if self._connections[client.trusted] >= _MOST_CONNECTIONS:
                    _turn_away(connection)
                    continue
                self._connections[client.trusted] += 1
                tasks.start_soon(self._attend, connection, client)

    async def _attend(self, connection: socket.socket, client: Peer) -> None:
        """One client, from its request to the end of its connection."""
        try:
            with connection:
                line = await _read_line(connection)
                taker = self.takers.get(_verb(line or b""))
                if taker and client.trusted:
                    await taker(connection.dup())
                elif line is not None:
                    answer = await self._answer(line, client)
                    with anyio.move_on_after(_WRITE_SECONDS):
                        await send_all(connection, _encode(answer))
        finally:
            self._connections[client.trusted] -= 1

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
            return _error(str(error), error.exit_code)
        except OSError as error:
            return _error(f"{verb}: {error}")

    def _holder(self) -> str:
        """Who has the name, for the refusal."""
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


async def _read_line(connection: socket.socket) -> bytes | None:
    """What came up to a newline or the limit; None from a client that goes or does not speak."""
    received = bytearray()
    with anyio.move_on_after(_READ_SECONDS):
        while not received.endswith(b"\n") and len(received) < REQUEST_LIMIT:
            await anyio.wait_readable(connection)
            try:
                part = connection.recv(REQUEST_LIMIT - len(received))
            except BlockingIOError:
                continue
            except OSError:
                return None
            if not part:
                return None
            received += part
        return bytes(received)
    return None


def _turn_away(connection: socket.socket) -> None:
    """Refuse without waiting: a new connection's buffer holds one line."""
    with connection:
        try:
            connection.send(_encode(_error("too many ask at the same time: try again")))
        except OSError:
            return


def _verb(line: bytes) -> str:
    """The verb of a request, empty for what is not a request."""
    try:
        verb = json.loads(line)["verb"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return ""
    return verb if isinstance(verb, str) else ""


def _error(reason: str, exit_code: int = 1) -> dict[str, Any]:
    return {"error": reason, "exit_code": exit_code}


def _encode(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
