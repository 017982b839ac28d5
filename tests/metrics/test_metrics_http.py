"""The HTTP server of the metrics: replies, and malicious clients."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from control_lab import read_to_end
from hypothesis import given
from hypothesis import strategies as st
from metrics_document import document, ntp_facts

from xdpkit._core._stats import VERDICTS
from xdpkit.config.address import SocketAddress
from xdpkit.control.server import Handler
from xdpkit.errors import NicError, SocketError
from xdpkit.metrics import server as http_server
from xdpkit.metrics.server import MetricsServer, read_request

GET = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"


async def status() -> dict[str, Any]:
    counts = [7] * len(VERDICTS)
    return document({2: counts}, {2: counts}, counts, ntp_facts())


async def large() -> dict[str, Any]:
    """More than the kernel buffers for a client that does not read, by too many queues."""
    counts = [7] * len(VERDICTS)
    return document({2: counts}, dict.fromkeys(range(4000), counts), counts)


def free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(handler: Handler = status, host: str = "127.0.0.1") -> Iterator[MetricsServer]:
    """A server in its own thread; it must run until the end of the block."""
    where = SocketAddress(ip_address(host), free_port(host))
    with MetricsServer(where, handler) as server, start_blocking_portal() as portal:
        running = portal.start_task_soon(server.serve)
        try:
            yield server
            assert not running.done()
        finally:
            running.cancel()
            with contextlib.suppress(CancelledError):
                running.result(timeout=5)


@contextlib.contextmanager
def connected(server: MetricsServer, receive: int | None = None) -> Iterator[socket.socket]:
    """A plain connection; ``receive`` is the size of its receive buffer."""
    host = server.where.address
    family = socket.AF_INET6 if host.version == 6 else socket.AF_INET
    with socket.socket(family) as connection:
        if receive is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        connection.settimeout(10)
        connection.connect((str(host), server.where.port))
        yield connection


def reply_to(server: MetricsServer, request: bytes) -> bytes:
    with connected(server) as connection:
        connection.sendall(request)
        return read_to_end(connection)


def status_of(reply: bytes) -> int:
    first = reply.split(b"\r\n", 1)[0].split()
    assert first[0] == b"HTTP/1.1"
    return int(first[1])


def is_complete(reply: bytes) -> bool:
    """Whether the body has the length that the head declares."""
    head, _, body = reply.partition(b"\r\n\r\n")
    return len(body) == int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])


def wait_until_idle(server: MetricsServer) -> None:
    deadline = time.monotonic() + 5
    while server._open:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_scrape(host: str) -> None:
    with serving(host=host) as server:
        with urlopen(f"http://{server.where}/metrics", timeout=10) as reply:
            assert reply.status == HTTPStatus.OK
            assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert b"\nxdpkit_verdicts_total{" in reply.read()
        request = Request(f"http://{server.where}/metrics?x=1")
        # As sent by Prometheus 3.
        request.add_header(
            "Accept",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4",
        )
        with urlopen(request, timeout=10) as reply:
            kind = reply.headers["Content-Type"]
            assert kind.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
            assert reply.read().endswith(b"\n# EOF\n")
        wait_until_idle(server)


def test_the_any_address_accepts_both_families() -> None:
    with serving(host="::") as server, socket.socket() as connection:
        connection.settimeout(10)
        connection.connect(("127.0.0.1", server.where.port))
        connection.sendall(GET)
        assert status_of(read_to_end(connection)) == 200


def test_head_is_the_same_without_the_body() -> None:
    with serving() as server:
        whole = reply_to(server, GET)
        head = reply_to(server, GET.replace(b"GET", b"HEAD"))
    assert is_complete(whole) and len(whole) > 10_000
    length = [line for line in whole.split(b"\r\n") if line.startswith(b"Content-Length")]
    assert length[0] in head.split(b"\r\n")
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_line, expected",
    [
        (b"GET / HTTP/1.1", 404),
        (b"GET /metrics/ HTTP/1.1", 404),
        (b"GET http://here/metrics HTTP/1.1", 404),
        (b"GET /metrics HTTP/1.0", 200),
        (b"POST /metrics HTTP/1.1", 405),
        (b"get /metrics HTTP/1.1", 405),
        (b"GET /metrics HTTP/2.0", 400),
        (b"GET /metrics", 400),
        (b"GET  /metrics HTTP/1.1", 400),
        (b"GET /metrics HTTP/1.1 ", 400),
        (b"", 400),
        (b"\xff\x00\xfe", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_other_requests(request_line: bytes, expected: int) -> None:
    with serving() as server:
        for end in (b"\r\n", b"\n"):
            reply = reply_to(server, request_line + end + b"Accept: */*" + end * 2)
            assert status_of(reply) == expected
            assert (b"\r\nAllow: GET, HEAD\r\n" in reply) == (expected == 405)
        assert status_of(reply_to(server, GET)) == 200


@given(st.binary(max_size=9000) | st.from_regex(rb"GET /metrics HTTP/1.[01]\r\n[^\0]*"))
def test_any_bytes_are_parsed_without_an_exception(head: bytes) -> None:
    _, _, _, found = read_request(head)
    assert found in (200, 400, 404, 405, 431)


@pytest.mark.parametrize(
    "accepted",
    [
        "application/openmetrics-text;version=9999999999999999999999.x.1",
        "application/openmetrics-text;version=one;escaping==;q",
        "application/openmetrics-text; version=1.0.0\rX-Evil: yes",
        "text/plain;version=1.x",
        ";,;=,=;" * 900,
    ],
)
def test_the_reply_does_not_echo_the_request(accepted: str) -> None:
    with serving() as server:
        request = f"GET /metrics HTTP/1.1\r\naccept:{accepted}\r\n\r\n".encode()
        head, _, body = reply_to(server, request).partition(b"\r\n\r\n")
    assert status_of(head) == 200
    assert b"Evil" not in head and b"9999" not in head
    assert b"xdpkit_up_seconds" in body


def test_a_status_that_fails() -> None:
    async def gone() -> dict[str, Any]:
        raise NicError("eth1 no longer exists")

    async def broken() -> dict[str, Any]:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    for handler, words in ((gone, "eth1 no longer exists"), (broken, "Cannot allocate")):
        with serving(handler) as server, pytest.raises(HTTPError) as caught:
            urlopen(f"http://{server.where}/metrics", timeout=10)
        with caught.value as error:
            assert error.code == 500
            assert words in error.read().decode()


@pytest.mark.parametrize("cut", [1, 3, len(GET) - 3, len(GET) - 2, len(GET) - 1])
def test_a_request_in_pieces(cut: int) -> None:
    with serving() as server, connected(server) as connection:
        connection.sendall(GET[:cut])
        # Long enough for the server to have read the first part.
        time.sleep(0.05)
        connection.sendall(GET[cut:])
        assert status_of(read_to_end(connection)) == 200


@pytest.mark.parametrize(
    "endless", [b"GET /" + b"x" * 100_000, GET[:-2] + b"X: " + b"y\r\nX:" * 9000, b"\0" * 8192]
)
def test_an_endless_request_is_rejected(endless: bytes) -> None:
    with serving() as server:
        with connected(server) as connection:
            # Unread bytes may reset the connection and lose the reply.
            with contextlib.suppress(ConnectionError):
                connection.sendall(endless)
            assert read_to_end(connection)[:12] in (b"HTTP/1.1 431", b"")
        wait_until_idle(server)
        # Exactly as much as the server reads.
        assert status_of(reply_to(server, endless[:8192])) == 431


def test_data_after_a_request_does_not_lose_the_reply() -> None:
    with serving() as server, connected(server, receive=4096) as connection:
        connection.sendall(GET + b"z" * 20_000)
        # Long enough for a server that does not wait to have sent everything and closed.
        time.sleep(0.2)
        assert is_complete(read_to_end(connection))


def test_a_large_reply_is_complete() -> None:
    with serving(large) as server, connected(server, receive=4096) as connection:
        connection.sendall(GET)
        reply = read_to_end(connection)
        assert len(reply) > 5_000_000
        assert is_complete(reply)


def test_http_client_can_request_again() -> None:
    with serving() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.where.port, timeout=10)
        for _ in range(3):
            connection.request("GET", "/metrics")
            assert len(connection.getresponse().read()) > 10_000
        connection.close()


def test_clients_that_disconnect_early() -> None:
    with serving() as server:
        for request in (b"", b"GET /met", GET[:-2], GET):
            with connected(server) as connection:
                connection.sendall(request)
        assert status_of(reply_to(server, GET)) == 200
        wait_until_idle(server)


def test_a_silent_or_partial_request_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_SECONDS", 0.5)
    with serving() as server, connected(server) as silent, connected(server) as half:
        half.sendall(GET[:-1])
        assert read_to_end(silent) == read_to_end(half) == b""
        wait_until_idle(server)


def test_a_client_that_never_reads_delays_no_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "_SECONDS", 4.0)

    with serving(large) as server, connected(server, receive=4096) as non_reader:
        non_reader.sendall(GET)
        assert non_reader.recv(1) == b"H"
        assert server._open
        wait_until_idle(server)
        assert not is_complete(b"H" + read_to_end(non_reader))


def test_a_crowd_of_silent_clients_locks_no_one_out() -> None:
    limit = http_server._MOST_CONNECTIONS
    with serving() as server, contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(5 * limit)]
        assert status_of(reply_to(server, GET)) == 200
        assert len(server._open) <= limit
        # The oldest were displaced first.
        assert [read_to_end(connection) for connection in crowd[: 4 * limit]] == [b""] * (4 * limit)
        crowd[-1].sendall(GET)
        assert status_of(read_to_end(crowd[-1])) == 200


def test_a_port_that_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    with serving() as server, MetricsServer(server.where, status) as other:
        assert other.not_served and not other.url
    port = server.where.port
    assert caplog.messages == [
        f"[metrics] listen: TCP 127.0.0.1:{port}: taken by another program"
        f" ('ss -ltnp sport = :{port}' shows it): stop it, or write another port; it is tried again"
    ]


def test_an_address_of_another_machine() -> None:
    with pytest.raises(SocketError, match="does not have the address: write one that it has"):
        MetricsServer(SocketAddress(ip_address("192.0.2.99"), 9153), status).bind()


def test_the_port_is_available_again_at_once() -> None:
    with serving() as server:
        assert status_of(reply_to(server, GET)) == 200
    for _ in range(2):
        with MetricsServer(server.where, status):
            pass


def test_serve_needs_bind() -> None:
    with pytest.raises(SocketError, match=r"listen: TCP 127\.0\.0\.1:1"):
        anyio.run(MetricsServer(SocketAddress(ip_address("127.0.0.1"), 1), status).serve)
