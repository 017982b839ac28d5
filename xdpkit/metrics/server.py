"""``http://ADDR:PORT/metrics``: the contents of ``xdpkit status --json``, for Prometheus.

``/health`` is for load balancers and people: 200 and "healthy", or 503, "degraded" or "down", and a
line for each reason.

As much of HTTP/1.1 (RFC 9110, RFC 9112) as a scrape takes: GET or HEAD of a resource, one request
per connection. Each client has limited time and bytes; the number of connections is limited too,
and a new one displaces the oldest: silent clients cannot lock out a scraper. Nothing is logged.

Any user may bind a port above 1023, so one that is taken keeps nothing from starting: it is tried
again until it is free.
"""

from __future__ import annotations

import errno
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import anyio
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from xdpkit._core._stats import VERDICTS
from xdpkit.config.address import SocketAddress
from xdpkit.control.server import Handler
from xdpkit.errors import ControlError, PortTakenError, SocketError, XdpkitError
from xdpkit.escape import escape
from xdpkit.metrics.families import families
from xdpkit.metrics.geodns_families import GeodnsInstance, geodns_families
from xdpkit.metrics.native import IS_KNOWN
from xdpkit.runtime.faults import faults
from xdpkit.runtime.health import Health, Reason
from xdpkit.runtime.listener import Listener
from xdpkit.runtime.reasons import failed
from xdpkit.runtime.stream import read_until, send_all
from xdpkit.slowpath.not_served import NotServed

log = logging.getLogger("xdpkit")

PATH = "/metrics"
HEALTH = "/health"
_OPENMETRICS = "application/openmetrics-text"

# A request from Prometheus has some 500 bytes.
_REQUEST_LIMIT = 8192
# What a client may send after its request before the connection is reset.
_REST_LIMIT = 65536
# Several Prometheus servers, and a person with a browser.
_MOST_CONNECTIONS = 16
# For a connection from start to end: Prometheus's default scrape_timeout.
_SECONDS = 10.0
# How often a port that another program has is tried again.
_TRY_SECONDS = 1.0

# RFC 9112 section 2.2: a bare LF may end a line.
_HEAD_END = re.compile(rb"\n\r?\n")


async def _starting() -> dict[str, Any]:
    """In place of a status until there is one."""
    raise ControlError("the instance is starting: try again")


async def _unhealthy() -> Health:
    """In place of the health until it is known."""
    return Health((Reason("not_answered", "the instance is starting", down=True),))


class MetricsServer(Listener[anyio.CancelScope]):
    """Serves the document that ``status`` returns, and the health that ``health`` returns.

    Errors are SocketErrors. ``not_served`` is set while another program has the port.
    """

    unit = "metrics"
    not_served: NotServed | None = None

    def __init__(self, where: SocketAddress, status: Handler = _starting) -> None:
        ipv6 = where.address.version == 6
        # Without it, connections of a previous instance would block the port for a minute.
        options = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)]
        if ipv6:
            # "[::]" is every address, whatever net.ipv6.bindv6only says.
            options.append((socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0))
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        super().__init__(family, (str(where.address), where.port), options)
        self.where = where
        self.status = status
        self.health: Callable[[], Awaitable[Health]] = _unhealthy
        self.geodns: Callable[[], GeodnsInstance | None] = lambda: None
        """Whose metrics are also given under GeoDNS's names; None: nobody's."""
        # One for each connection, the oldest first.
        self._open: list[anyio.CancelScope] = []

    @property
    def url(self) -> str:
        """Where the metrics are; empty while another program has the port."""
        return "" if self.not_served else f"http://{self.where}{PATH}"

    def bind(self) -> None:
        """Listens; where another program has the port, says so and leaves it to ``serve``."""
        try:
            super().bind()
        except PortTakenError as error:
            self._set_taken()
            log.warning("%s; it is tried again", error)

    def _set_taken(self) -> None:
        where = self.where
        reason = "in use by another program"
        self.not_served = NotServed("tcp", "metrics", where.address, where.port, True, reason)

    async def serve(self) -> None:
        while self.not_served:
            await anyio.sleep(_TRY_SECONDS)
            try:
                super().bind()
            except SocketError:
                continue
            self.not_served = None
            log.info("TCP %s: free again, metrics are served there", self.where)
        await super().serve()

    def _bind_error(self, error: OSError) -> SocketError:
        fixes = {
            errno.EADDRINUSE: "taken by another program"
            f" ('ss -ltnp sport = :{self.where.port}' shows it): stop it, or write another port",
            errno.EADDRNOTAVAIL: "this machine does not have the address: write one that it has",
            errno.EACCES: "no permission: write a port above 1023, or run with "
            "CAP_NET_BIND_SERVICE",
        }
        reason = fixes.get(error.errno or 0) or failed("", error)
        kind = PortTakenError if error.errno == errno.EADDRINUSE else SocketError
        return kind(f"[metrics] listen: TCP {self.where}: {reason}")

    def _admit(self, connection: socket.socket) -> anyio.CancelScope:
        if len(self._open) >= _MOST_CONNECTIONS:
            self._open.pop(0).cancel()
        scope = anyio.CancelScope(deadline=anyio.current_time() + _SECONDS)
        self._open.append(scope)
        return scope

    def _release(self, scope: anyio.CancelScope) -> None:
        if scope in self._open:
            self._open.remove(scope)

    async def _attend(self, connection: socket.socket, scope: anyio.CancelScope) -> None:
        with scope:
            head = await read_until(connection, _HEAD_END, _REQUEST_LIMIT)
            if head is not None:
                await send_all(connection, await self._reply(head))
                await _finish(connection)

    async def _reply(self, head: bytes) -> bytes:
        """The complete reply to a request's head."""
        method, path, accepted, status = read_request(head)
        body, kind = f"{status} {status.phrase}: GET {PATH} or {HEALTH}\n".encode(), "text/plain"
        if status is HTTPStatus.OK and path == HEALTH:
            health = await self.health()
            status = HTTPStatus.SERVICE_UNAVAILABLE if health.reasons else HTTPStatus.OK
            body = "".join(f"{escape(line)}\n" for line in health.lines()).encode()
            kind = "text/plain; charset=utf-8"
        elif status is HTTPStatus.OK:
            try:
                body, kind = encode(self._families(await self.status()), accepted)
            except (XdpkitError, OSError) as error:
                status, body = HTTPStatus.INTERNAL_SERVER_ERROR, f"{error}\n".encode()
            except Exception as error:
                what = faults.record(self.unit, error)
                status, body = HTTPStatus.INTERNAL_SERVER_ERROR, f"{what}\n".encode()
        lines = [
            f"HTTP/1.1 {status} {status.phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)

    def _families(self, document: dict[str, Any]) -> list[Metric]:
        found, instance = families(document, VERDICTS), self.geodns()
        if instance is not None:
            found += geodns_families(document, instance)
        return found


def read_request(head: bytes) -> tuple[str, str, str, HTTPStatus]:
    """Method, path and Accept field of a request, and the status of the reply; never raises."""
    first, *fields = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    words = first.split(" ")
    if len(head) >= _REQUEST_LIMIT:
        return "", "", "", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return "", "", "", HTTPStatus.BAD_REQUEST
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        return method, "", "", HTTPStatus.METHOD_NOT_ALLOWED
    path = target.partition("?")[0]
    if path not in (PATH, HEALTH):
        return method, path, "", HTTPStatus.NOT_FOUND
    named = (field.partition(":") for field in fields)
    accepted = ",".join(value for name, _, value in named if name.lower() == "accept")
    return method, path, accepted, HTTPStatus.OK


class _Collected(Collector):
    """Wraps families that exist already."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Sequence[Metric]:
        return self._metrics


def encode(metrics: Sequence[Metric], accepted: str) -> tuple[bytes, str]:
    """The text and its media type: OpenMetrics if the client accepts any, else Prometheus.

    Version 2.0, for those who name it, has native histograms too. The library would echo the
    client's Accept field in the reply, so it gets one of our own.
    """
    if _OPENMETRICS not in accepted:
        field = ""
        metrics = [_without_native(metric) for metric in metrics]
    else:
        newest = IS_KNOWN and "version=2.0.0" in accepted
        field = f"{_OPENMETRICS}; version={'2.0.0' if newest else '1.0.0'}"
    encoder, kind = choose_encoder(field)
    return encoder(_Collected(metrics)), kind


def _without_native(metric: Metric) -> Metric:
    """The library writes native histograms into Prometheus's format, which has none, as well."""
    if not IS_KNOWN or not any(sample.native_histogram for sample in metric.samples):
        return metric
    kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
    kept.samples = [sample for sample in metric.samples if not sample.native_histogram]
    return kept


async def _finish(connection: socket.socket) -> None:
    """Shuts down our side and waits for the client to close.

    If it were closed with unread bytes, the connection would be reset and the reply lost.
    """
    try:
        connection.shutdown(socket.SHUT_WR)
        remaining = _REST_LIMIT
        while remaining > 0:
            await anyio.wait_readable(connection)
            part = connection.recv(4096)
            if not part:
                return
            remaining -= len(part)
    except OSError:
        return
