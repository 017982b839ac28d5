"""The control socket ``@xdpkit/IFACE``: the server of requests.

The protocol is described in ``client``. Each client has limited time and bytes, and strangers have
their own limit on connections, so that nobody can lock out root's ``reload``. Nor does it matter
who holds the name: an instance that has the lock (``lock.py``) then listens at another one, which
clients find, until the name is free. Without that lock the name is the lock, and the kernel
releases it with the process.
"""

from __future__ import annotations

import errno
import json
import logging
import re
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import anyio

from xdpkit.control.client import (
    REQUEST_LIMIT,
    RequestError,
    address,
    connect,
    instances,
    is_instance,
    request,
)
from xdpkit.control.trust import is_trusted, peer
from xdpkit.errors import ControlError, XdpkitError
from xdpkit.runtime.faults import faults
from xdpkit.runtime.listener import BACKLOG, Listener
from xdpkit.runtime.stream import read_until, send_all

__all__ = ["ControlServer", "Handler", "RequestError", "instances", "request"]

log = logging.getLogger("xdpkit")

Handler = Callable[[], Awaitable[dict[str, Any]]]

ArgumentHandler = Callable[[str], Awaitable[dict[str, Any]]]

ConnectionHandler = Callable[[socket.socket, str | None], Awaitable[None]]
"""Answers a verb by itself, over a duplicate of the connection, which it must close.

Its second argument is the request's, if that has one."""

# Verbs that change nothing are open to every user of the machine.
OPEN_VERBS = frozenset({"status"})

# Simultaneous connections of root and our own user; everybody else has as many.
_MOST_CONNECTIONS = 8
# One of them cannot lock out the rest: of each, this many.
_MOST_OF_A_STRANGER = 4
_READ_SECONDS = 2.0
_WRITE_SECONDS = 5.0

# How often to look whether the name of our interface is free again.
_NAME_SECONDS = 2.0

# A newline inside is part of a malformed request.
_LINE_END = re.compile(rb"\n\Z")


class Client(NamedTuple):
    """What is kept of a connection: whether it is root's or our own user's, and whose it is."""

    trusted: bool
    uid: int


class ControlServer(Listener[Client]):
    """The server's end; ``handlers`` maps each verb to the coroutine function that answers it, or
    ``connection_handlers`` to one that takes over the connection.

    ``bind`` takes the name and ``close`` releases it: it outlasts ``serve``, so that the next
    instance starts only after this one has cleaned up. With ``has_lock``, set before ``bind``, the
    name is only a name. Errors are ControlErrors.
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
        self.has_lock = False
        self.announce: Callable[[str], None] = lambda spare: None
        """Called with the end of the name at which it listens instead of its own, or ""."""
        self._has_name = False
        self.handlers = dict(handlers or {})
        self.connection_handlers = dict(connection_handlers or {})
        self.argument_handlers: dict[str, ArgumentHandler] = {}
        """Those of verbs that take an argument."""
        self._connections = {True: 0, False: 0}
        self._strangers = Counter[int]()

    def bind(self) -> None:
        """Listens at the interface's name or, with the lock, at another one if it is taken."""
        try:
            self._listener = self._listen(address(self.ifname))
            self._has_name = True
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self.has_lock:
                raise self._bind_error(error) from error
            self._listener = self._listen_elsewhere()

    def adopt(self, listener: socket.socket) -> None:
        super().adopt(listener)
        self._has_name = listener.getsockname() == address(self.ifname)

    def rename(self, ifname: str) -> None:
        """Listens at the interface's new name; the old one is free. Raises ControlError."""
        self.ifname, self._has_name = ifname, False
        if not self._take_name():
            self._replace(self._listen_elsewhere())

    async def serve(self) -> None:
        """Answers clients until canceled."""
        # Clients see the credentials of whoever listened last: not a predecessor's.
        self.listener.listen(BACKLOG)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(super().serve)
            while True:
                await anyio.sleep(_NAME_SECONDS)
                if not self._has_name and self._take_name():
                    log.info("the control socket has its name @xdpkit/%s again", self.ifname)

    def _take_name(self) -> bool:
        """Listens at the interface's name, if it is free."""
        try:
            listener = self._listen(address(self.ifname))
        except OSError:
            return False
        self._replace(listener)
        self._has_name = True
        self.announce("")
        return True

    def _listen_elsewhere(self) -> socket.socket:
        """A socket that listens at a name that clients find. Raises ControlError."""
        spare = secrets.token_hex(8)
        try:
            listener = self._listen(address(self.ifname, spare))
        except OSError as error:
            raise self._bind_error(error) from error
        self.announce(spare)
        log.warning(
            "%s; until it is free, requests are answered at @xdpkit/%s/%s, where xdpkit finds it",
            self._holder(),
            self.ifname,
            spare,
        )
        return listener

    def _bind_error(self, error: OSError) -> ControlError:
        """Names the process that holds the name, if one does."""
        if error.errno == errno.EADDRINUSE:
            return ControlError(self._holder())
        return ControlError(f"{self.ifname}: control socket: {error.strerror}")

    def _admit(self, connection: socket.socket) -> Client | None:
        client = Client(is_trusted(connection), peer(connection).uid)
        is_greedy = self._strangers[client.uid] >= _MOST_OF_A_STRANGER
        if is_greedy or self._connections[client.trusted] >= _MOST_CONNECTIONS:
            _turn_away(connection)
            return None
        self._count(client, 1)
        return client

    def _release(self, client: Client) -> None:
        self._count(client, -1)

    def _count(self, client: Client, number: int) -> None:
        self._connections[client.trusted] += number
        if not client.trusted:
            self._strangers[client.uid] += number
            # Not one for each user that there ever was.
            self._strangers += Counter()

    async def _attend(self, connection: socket.socket, client: Client) -> None:
        line = None
        with anyio.move_on_after(_READ_SECONDS):
            line = await read_until(connection, _LINE_END, REQUEST_LIMIT)
        take_over = self.connection_handlers.get(_verb(line or b""))
        if take_over and client.trusted:
            await take_over(connection.dup(), _argument(line or b""))
        elif line is not None:
            answer = await self._answer(line, client)
            with anyio.move_on_after(_WRITE_SECONDS):
                await send_all(connection, _encode(answer))

    async def _answer(self, line: bytes, client: Client) -> dict[str, Any]:
        verb, argument = _verb(line), _argument(line)
        handler, with_argument = self.handlers.get(verb), self.argument_handlers.get(verb)
        if with_argument is not None and argument is not None:
            handler = partial(with_argument, argument)
        if handler is None and verb not in self.connection_handlers:
            return refusal("the running instance does not know this request")
        if verb not in OPEN_VERBS and not client.trusted:
            return refusal(f"{verb} is for root (with CAP_NET_ADMIN) and xdpkit's user: use sudo")
        assert handler is not None, "a verb of a trusted client has been answered"
        try:
            return {"reply": await handler()}
        except XdpkitError as error:
            return refusal(*error.lines(), exit_code=error.exit_code)
        except OSError as error:
            return refusal(f"{verb}: {error}")
        except Exception as error:
            return refusal(f"{verb}: a fault of xdpkit itself: {faults.record(self.unit, error)}")

    def _holder(self) -> str:
        """Who holds the name, and what to do about it."""
        try:
            with connect(self.ifname, time_limit=0.5) as connection:
                holder, is_other_instance = peer(connection), is_instance(connection, self.ifname)
        except OSError:
            # Bound and not listening: nobody knows whose it is.
            if self.has_lock:
                return f"{self.ifname}: another process holds @xdpkit/{self.ifname}"
            return f"another xdpkit serves {self.ifname}: stop it, or serve another interface"
        pid = f"pid {holder.pid}" if holder.pid else "in another PID namespace"
        if self.has_lock or not is_other_instance:
            fix = "" if self.has_lock else ": stop that first"
            return (
                f"{self.ifname}: the control socket @xdpkit/{self.ifname} is held by a process"
                f" ({pid}) of user {holder.uid}{fix}"
            )
        return f"another xdpkit serves {self.ifname} ({pid}): stop it, or serve another interface"


def _turn_away(connection: socket.socket) -> None:
    """Refuses without waiting: the send buffer of a new connection has room for one line."""
    with connection:
        try:
            connection.send(_encode(refusal("too many connections at the same time: try again")))
        except OSError:
            return


def _verb(line: bytes) -> str:
    """The verb of a request; empty if it is malformed."""
    try:
        verb = json.loads(line)["verb"]
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return ""
    return verb if isinstance(verb, str) else ""


def _argument(line: bytes) -> str | None:
    """The argument of a request that has a verb, if there is one."""
    try:
        argument = json.loads(line).get("argument")
    except (ValueError, AttributeError, RecursionError):
        return None
    return argument if isinstance(argument, str) else None


def refusal(*reasons: str, exit_code: int = 1) -> dict[str, Any]:
    """The reply to a request that was refused or failed."""
    return {"error": reasons[0], "errors": reasons, "exit_code": exit_code}


def _encode(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer).encode() + b"\n"
