"""``http://ADDR:PORT/metrics``: what ``xdpkit status --json`` says, for Prometheus.

So much of HTTP/1.1 (RFC 9110, RFC 9112) as a scrape takes: GET or HEAD of one resource, one request
a connection. A client has bounded time and bounded bytes; the number of connections is bounded
too, and a new one takes the place of the oldest: silent clients keep no scraper out. Nothing is
logged.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Self

import anyio
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from xdpkit._core._stats import VERDICTS
from xdpkit.config.address import SocketAddress
from xdpkit.control.server import Handler
from xdpkit.errors import SocketError, XdpkitError
from xdpkit.metrics.families import families
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.stream import accept, send_all

PATH = "/metrics"
_OPENMETRICS = "application/openmetrics-text"

# Prometheus asks in some 500 bytes.
_REQUEST_LIMIT = 8192
# What a client may still send behind its request, before the connection is reset under it.
_REST_LIMIT = 65536
# Some Prometheus servers, and a person who looks.
_MOST_CONNECTIONS = 16
_BACKLOG = 64
# For a connection from its beginning to its end: Prometheus's own scrape_timeout, if not changed.
_SECONDS = 10.0

# RFC 9112 section 2.2: a bare LF may end a line.
_HEAD_END = re.compile(rb"\n\r?\n")


class MetricsServer(Closing):
    """The listening socket and its service; ``status`` gives the document of ``xdpkit status``.

    ``bind`` listens, ``serve`` answers until cancelled, ``close`` ends the listening.
    """

    def __init__(self, where: SocketAddress, status: Handler) -> None:
        self.where = where
        self._status = status
        self._listener: socket.socket | None = None
        # One for each connection, the oldest first.
        self._open: list[anyio.CancelScope] = []

    def __enter__(self) -> Self:
        self.bind()
        return self

    def bind(self) -> None:
        """Listen. Raises SocketError when the address or the port cannot be had."""
        ipv6 = self.where.address.version == 6
        listener = socket.socket(
            socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK
        )
        try:
            # Or connections of an instance before this one would keep the port for a minute.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if ipv6:
                # "[::]" is every address, whatever net.ipv6.bindv6only says.
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((str(self.where.address), self.where.port))
            listener.listen(_BACKLOG)
        except OSError as error:
            listener.close()
            raise _bind_error(self.where, error) from error
        self._listener = listener

    def close(self) -> None:
        """End the listening; a second time is harmless."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def serve(self) -> None:
        """Answer clients until cancelled."""
        if self._listener is None:
            raise SocketError(f"[metrics] listen: {self.where}: not bound")
        async with anyio.create_task_group() as tasks:
            while True:
                connection = await accept(self._listener)
                if len(self._open) >= _MOST_CONNECTIONS:
                    self._open.pop(0).cancel()
                scope = anyio.CancelScope(deadline=anyio.current_time() + _SECONDS)
                self._open.append(scope)
                tasks.start_soon(self._attend, connection, scope)

    async def _attend(self, connection: socket.socket, scope: anyio.CancelScope) -> None:
        """One client, from its request to the end of its connection."""
        try:
            with connection, scope:
                head = await _read_head(connection)
                if head is not None:
                    await send_all(connection, await self._reply(head))
                    await _finish(connection)
        finally:
            if scope in self._open:
                self._open.remove(scope)

    async def _reply(self, head: bytes) -> bytes:
        """The whole reply to a request's head."""
        method, accepted, status = read_request(head)
        body, kind = f"{status} {status.phrase}: GET {PATH}\n".encode(), "text/plain"
        if status is HTTPStatus.OK:
            try:
                body, kind = encode(families(await self._status(), VERDICTS), accepted)
            except (XdpkitError, OSError) as error:
                status, body = HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode()
        lines = [
            f"HTTP/1.1 {status} {status.phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)


def read_request(head: bytes) -> tuple[str, str, HTTPStatus]:
    """Method and Accept field of a request, and the status of its reply; never raises."""
    first, *fields = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(head) >= _REQUEST_LIMIT:
        return "", "", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", "", HTTPStatus.BAD_REQUEST
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        return method, "", HTTPStatus.METHOD_NOT_ALLOWED
    if target.partition("?")[0] != PATH:
        return method, "", HTTPStatus.NOT_FOUND
    named = (field.partition(":") for field in fields)
    accepted = ",".join(value for name, _, value in named if name.lower() == "accept")
    return method, accepted, HTTPStatus.OK


class _Collected(Collector):
    """Families that are there already."""

    def __init__(self, made: Sequence[Metric]) -> None:
        self._made = made

    def collect(self) -> Sequence[Metric]:
        return self._made


def encode(made: Sequence[Metric], accepted: str) -> tuple[bytes, str]:
    """The text and its media type: OpenMetrics 1.0 for who accepts any of it, else Prometheus's.

    The library would repeat in the reply what the client wrote: it gets a field of our own.
    """
    field = f"{_OPENMETRICS}; version=1.0.0" if _OPENMETRICS in accepted else ""
    encoder, kind = choose_encoder(field)
    return encoder(_Collected(made)), kind


async def _read_head(connection: socket.socket) -> bytes | None:
    """What came up to an empty line or the limit; None from a client that goes."""
    head = bytearray()
    while len(head) < _REQUEST_LIMIT:
        await anyio.wait_readable(connection)
        try:
            part = connection.recv(_REQUEST_LIMIT - len(head))
        except BlockingIOError:
            continue
        except OSError:
            return None
        if not part:
            return None
        seen = len(head)
        head += part
        if end := _HEAD_END.search(head, max(0, seen - 2)):
            return bytes(head[: end.start()])
    return bytes(head)


async def _finish(connection: socket.socket) -> None:
    """Say that this was all, and wait for the client's end.

    Closed with bytes unread, the connection would be reset, and the reply be lost with it.
    """
    try:
        connection.shutdown(socket.SHUT_WR)
        rest = _REST_LIMIT
        while rest > 0:
            await anyio.wait_readable(connection)
            part = connection.recv(4096)
            if not part:
                return
            rest -= len(part)
    except OSError:
        return


def _bind_error(where: SocketAddress, error: OSError) -> SocketError:
    """What the errno of a socket call means for the person at the terminal."""
    fixes = {
        errno.EADDRINUSE: f"taken by another program ('ss -ltnp sport = :{where.port}' shows it): "
        "stop it, or write another port",
        errno.EADDRNOTAVAIL: "this machine does not have the address: write one that it has",
        errno.EACCES: "no permission: write a port above 1023, or run with CAP_NET_BIND_SERVICE",
    }
    reason = fixes.get(error.errno or 0, error.strerror)
    return SocketError(f"[metrics] listen: TCP {where}: {reason}")
