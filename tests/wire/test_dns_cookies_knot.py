"""knotd and xdpkit share a secret, as in an anycast group: each accepts the other's cookies."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.rcode
import pytest
from payloads import nothing, option, query
from peers import peer
from serving import DNS_SETTINGS, PATIENCE, QUEUES, Server, eventually, write_config

from xdpkit.lab.namespaces import Lab, Side

pytestmark = pytest.mark.netns

PORT = 5353

CONFIGURATION = """
server:
    rundir: "{directory}/run"
    listen: ["{ipv4}@{port}", "{ipv6}@{port}"]
database:
    storage: "{directory}/db"
mod-cookies:
  - id: shared
    secret: 0x{secret}
    badcookie-slip: 1
template:
  - id: default
    storage: "{directory}/zones"
    global-module: mod-cookies/shared
zone:
  - domain: example
    file: example.zone
"""


@pytest.fixture(scope="module")
def knotd() -> str:
    return peer("knot", "sbin/knotd")


@contextmanager
def knot_server(side: Side, knotd: str, directory: Path) -> Iterator[None]:
    write_config(directory)
    (directory / "run").mkdir()
    path = directory / "knot.conf"
    path.write_text(
        CONFIGURATION.format(
            directory=directory,
            ipv4=side.ipv4,
            ipv6=side.ipv6,
            port=PORT,
            secret=DNS_SETTINGS["cookie_secrets"][0].hex(),
        )
    )
    log = directory / "knot.log"
    libraries = Path(knotd).parents[1] / "lib" / f"{os.uname().machine}-linux-gnu"
    with log.open("w") as output:
        process = side.popen(
            *("env", f"LD_LIBRARY_PATH={libraries}", knotd, "-c", str(path)),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: process.poll() is not None or "loaded" in log.read_text(), "knotd")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def asked(sock: socket.socket, address: str, port: int, request: bytes) -> dns.message.Message:
    sock.sendto(request, (address, port))
    return dns.message.from_wire(sock.recv(65536))


def cookie_of(reply: dns.message.Message) -> bytes:
    [found] = [each.to_wire() for each in reply.options if each.otype == 10]
    return found


@pytest.mark.parametrize("family", [4, 6])
def test_a_group_with_knotd(
    lab: Lab, server: Server, knotd: str, tmp_path: Path, family: int
) -> None:
    kind = socket.AF_INET if family == 4 else socket.AF_INET6
    address = lab.server.ipv4 if family == 4 else lab.server.ipv6
    lab.client.send_on_queue(2, QUEUES)
    with lab.client.entered():
        sock = socket.socket(kind, socket.SOCK_DGRAM)
    with sock, knot_server(lab.server, knotd, tmp_path):
        sock.settimeout(PATIENCE)
        client = query("www.example", edns=0, options=[option(10, b"8 bytes!")])
        challenge = asked(sock, address, PORT, client)
        assert challenge.rcode() == dns.rcode.BADCOOKIE and not challenge.answer
        theirs = cookie_of(challenge)
        assert asked(sock, address, 53, nothing(theirs)).rcode() == dns.rcode.NOERROR
        wrong = theirs[:-1] + bytes([theirs[-1] ^ 1])
        assert asked(sock, address, 53, nothing(wrong)).rcode() == dns.rcode.BADCOOKIE
        ours = cookie_of(asked(sock, address, 53, nothing(b"8 bytes!")))
        request = query("www.example", edns=0, options=[option(10, ours)])
        accepted = asked(sock, address, PORT, request)
        assert accepted.rcode() == dns.rcode.NOERROR and accepted.answer
