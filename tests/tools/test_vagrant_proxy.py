# SPDX-License-Identifier: Apache-2.0
"""vagrant/proxy.py: what it lets through to an archive of our own, and what it refuses."""

from __future__ import annotations

import http.client
import importlib.util
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType

import pytest
from checkout import CHECKOUT

VAGRANT = CHECKOUT / "vagrant"
PACKAGE = bytes(range(256)) * 1000
DATE = "Sat, 01 Aug 2026 00:00:00 GMT"


def load(name: str) -> ModuleType:
    """A script in vagrant/, which is not a package."""
    spec = importlib.util.spec_from_file_location(f"vagrant_{name}", VAGRANT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


proxy = load("proxy")


class Archive(BaseHTTPRequestHandler):
    """A package that is served whole, in part, or not at all because it has not changed."""

    def do_GET(self) -> None:
        if self.path == "/debian/moved":
            self.reply(302, b"", Location="http://elsewhere.example/")
        elif self.path != "/debian/pool/a.deb":
            self.reply(404, b"no such package")
        elif self.headers["If-Modified-Since"] == DATE:
            self.send_response(304)
            self.end_headers()
        elif self.headers["Range"] == "bytes=1000-":
            total = len(PACKAGE)
            self.reply(206, PACKAGE[1000:], Content_Range=f"bytes 1000-{total - 1}/{total}")
        else:
            self.reply(200, PACKAGE, Last_Modified=DATE, X_Secret="1")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """The ports of the archive and of a proxy that allows it."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Archive) as archive:

        class Ours(proxy.Proxy):  # type: ignore[misc, name-defined]
            allowed = ((f"127.0.0.1:{archive}", "/debian/"),)

            def log_message(self, *_: object) -> None:
                pass

        with serving(Ours) as port:
            yield archive, port


def get(port: int, url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", url, headers=sent)
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def test_forwards_a_package(ports: tuple[int, int]) -> None:
    archive, port = ports
    url = f"http://127.0.0.1:{archive}/debian/pool/a.deb"
    status, headers, body = get(port, url)
    assert (status, body, headers["Last-Modified"]) == (200, PACKAGE, DATE)
    assert "X-Secret" not in headers
    status, headers, body = get(port, url, Range="bytes=1000-")
    assert (status, body) == (206, PACKAGE[1000:])
    assert headers["Content-Range"].startswith("bytes 1000-")
    assert get(port, url, If_Modified_Since=DATE)[0] == 304
    assert get(port, url.replace("a.deb", "b.deb"))[::2] == (404, b"no such package")


def test_does_not_follow_out_of_the_archive(ports: tuple[int, int]) -> None:
    archive, port = ports
    status, headers, _ = get(port, f"http://127.0.0.1:{archive}/debian/moved")
    assert (status, headers["Location"]) == (302, "http://elsewhere.example/")


def test_refuses_what_is_not_on_the_list(ports: tuple[int, int]) -> None:
    archive, port = ports
    for url in (
        f"http://127.0.0.1:{archive}/private",
        f"http://127.0.0.1:{archive}/debian/../private",
        f"http://127.0.0.1:{archive + 1}/debian/pool/a.deb",
        "/debian/pool/a.deb",
    ):
        assert get(port, url)[0] == 403, url


def test_an_unreachable_archive(ports: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    archive, port = ports
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    assert get(port, f"http://127.0.0.1:{archive}/debian/pool/a.deb")[0] == 502


@pytest.mark.parametrize(
    "url, allowed",
    [
        ("http://deb.debian.org/debian/dists/bookworm/InRelease", True),
        ("http://security.debian.org/debian-security/dists/x", True),
        ("http://deb.debian.org/debian", False),
        ("http://deb.debian.org/debianx/a", False),
        ("http://deb.debian.org/", False),
        ("http://deb.debian.org/debian/%2e%2e/x", False),
        ("https://deb.debian.org/debian/a", False),
        ("http://deb.debian.org:22/debian/a", False),
        ("http://user@deb.debian.org/debian/a", False),
        ("http://deb.debian.org.example/debian/a", False),
        ("http://192.0.2.1/debian/a", False),
        ("file:///debian/a", False),
    ],
)
def test_allowed_urls(url: str, allowed: bool) -> None:
    assert proxy.is_allowed(url) == allowed


@pytest.mark.parametrize("arguments", [[], ["x"], ["1", "2", "3"], ["80", "fd"]])
def test_misuse_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert proxy.main(arguments) == 2
    assert capsys.readouterr().err == "usage: proxy.py PORT [NETNS_FD]\n"
