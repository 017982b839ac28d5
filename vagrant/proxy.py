#!/usr/bin/env python3
"""An HTTP proxy to Debian's package archive and to nothing else, for a VM without Internet access.

    proxy.py PORT [NETNS_FD]

It listens in the network namespace it is started in. With NETNS_FD, a descriptor of another one
(such as `9</proc/self/ns/net`, opened before `unshare`), it connects to the archive from there.
http_proxy is honored, as wherever Python fetches something.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

# Where Debian's boxes get their packages: host and first part of the path.
ALLOWED = (
    ("deb.debian.org", "/debian/"),
    ("deb.debian.org", "/debian-security/"),
    ("security.debian.org", "/debian-security/"),
)
# Headers of apt's: what it already has, which part of a file is missing.
REQUEST_HEADERS = ("If-Modified-Since", "If-Range", "Range", "User-Agent")
REPLY_HEADERS = ("Content-Length", "Content-Range", "Content-Type", "Last-Modified", "Location")
TIMEOUT_SECONDS = 120
CLONE_NEWNET = 0x40000000  # linux/sched.h


def is_allowed(url: str, allowed: tuple[tuple[str, str], ...] = ALLOWED) -> bool:
    """Whether it is plain HTTP, to a host on the list (without a port) and below its path."""
    parts = urlsplit(url)
    path = parts.path
    if parts.scheme != "http" or ".." in path or "%2e" in path.lower():
        return False
    return any(parts.netloc == host and path.startswith(below) for host, below in allowed)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the client, whose next request is checked as well."""

    def redirect_request(self, *_: object) -> None:
        return None


class Proxy(BaseHTTPRequestHandler):
    """One request; the connection is closed after it."""

    allowed = ALLOWED

    def do_GET(self) -> None:
        if not is_allowed(self.path, self.allowed):
            self.send_error(403, "Only Debian's archive is available here")
            return
        headers = {name: self.headers[name] for name in REQUEST_HEADERS if name in self.headers}
        request = urllib.request.Request(self.path, headers=headers)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
                self._pass_on(reply)
        except urllib.error.HTTPError as reply:  # 304 and 404 as well
            with reply:
                self._pass_on(reply)
        except OSError as error:
            self.send_error(502, f"{error}")

    def _pass_on(self, reply: urllib.response.addinfourl) -> None:
        self.send_response(reply.status or 502)
        for name in REPLY_HEADERS:
            if name in reply.headers:
                self.send_header(name, reply.headers[name])
        self.end_headers()
        shutil.copyfileobj(reply, self.wfile)


def enter_netns(descriptor: int) -> None:
    """Moves this thread, and those it starts, to another network namespace. os.setns needs 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2) or not all(argument.isdigit() for argument in arguments):
        print("usage: proxy.py PORT [NETNS_FD]", file=sys.stderr)
        return 2
    with ThreadingHTTPServer(("", int(arguments[0])), Proxy) as server:
        if len(arguments) == 2:
            enter_netns(int(arguments[1]))
            os.close(int(arguments[1]))
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
