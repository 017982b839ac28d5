"""The base of the control plane's servers: a listening socket, and a task per connection.

An exception that nobody foresaw ends its connection, and nothing else.
"""

from __future__ import annotations

import errno
import os
import socket
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Generic, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from xdpkit.errors import XdpkitError
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.faults import faults
from xdpkit.runtime.stream import accept

BACKLOG = 64

# What a server keeps of an open connection.
Admitted = TypeVar("Admitted")


class Listener(Closing, Generic[Admitted]):
    """``bind`` listens, ``serve`` answers until canceled, ``close`` stops listening.

    A subclass bounds the number of connections: ``_admit`` counts one, or turns it away, and
    ``_release`` forgets it. Faults of its connections are counted under its ``unit``.
    """

    unit: str

    def __init__(
        self,
        family: socket.AddressFamily,
        address: Any,
        options: Iterable[tuple[int, int, int]] = (),
    ) -> None:
        self._family, self._address, self._options = family, address, options
        self._listener: socket.socket | None = None
        self._accepting: anyio.CancelScope | None = None

    def __enter__(self) -> Self:
        self.bind()
        return self

    @property
    def listener(self) -> socket.socket:
        """The listening socket. Raises XdpkitError before there is one."""
        if self._listener is None:
            raise self._bind_error(OSError(errno.EBADF, "not bound"))
        return self._listener

    def bind(self) -> None:
        """Listens. Raises XdpkitError when the address is not available."""
        try:
            self._listener = self._listen(self._address)
        except OSError as error:
            raise self._bind_error(error) from error

    def _listen(self, address: Any) -> socket.socket:
        """A socket that listens at an address. Raises OSError."""
        listener = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            for option in self._options:
                listener.setsockopt(*option)
            listener.bind(address)
            # Right away: of a Unix socket, the kernel now records the credentials that clients see.
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def _replace(self, other: socket.socket) -> None:
        """Goes on with another listening socket, under the same descriptor; closes it."""
        os.dup2(other.fileno(), self.listener.fileno(), inheritable=False)
        other.close()
        # Who waits for the descriptor still waits for the old socket.
        if self._accepting:
            self._accepting.cancel()

    def adopt(self, listener: socket.socket) -> None:
        """Takes over another process's listening socket, which already has the address."""
        listener.setblocking(False)
        self._listener = listener

    def close(self) -> None:
        """Stops listening; a second call does nothing."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def serve(self) -> None:
        """Answers clients until canceled."""
        listener = self.listener
        async with anyio.create_task_group() as tasks:
            while True:
                with anyio.CancelScope() as self._accepting:
                    while True:
                        self._begin(await accept(listener), tasks)

    def _begin(self, connection: socket.socket, tasks: TaskGroup) -> None:
        try:
            admitted = self._admit(connection)
        except Exception as error:
            connection.close()
            faults.record(self.unit, error)
            return
        if admitted is not None:
            tasks.start_soon(self._run, connection, admitted)

    async def _run(self, connection: socket.socket, admitted: Admitted) -> None:
        try:
            with connection:
                await self._attend(connection, admitted)
        except Exception as error:
            faults.record(self.unit, error)
        finally:
            self._release(admitted)

    @abstractmethod
    def _bind_error(self, error: OSError) -> XdpkitError:
        """The error to raise when the socket cannot listen."""

    @abstractmethod
    def _admit(self, connection: socket.socket) -> Admitted | None:
        """What to keep of a new connection; None after closing it."""

    @abstractmethod
    async def _attend(self, connection: socket.socket, admitted: Admitted) -> None:
        """Serves one client, from its request to its last byte."""

    @abstractmethod
    def _release(self, admitted: Admitted) -> None:
        """The connection is closed."""
