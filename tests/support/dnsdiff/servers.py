"""knotd, nsd and named on loopback, serving a directory of zones."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tcp_client import TcpClient

Ask = Callable[[Sequence[bytes]], list[bytes]]
"""Sends requests to a server; returns the reply to each."""


@dataclass(frozen=True)
class Peer:
    """A running server."""

    udp: Ask
    tcp: Ask


KNOT = """\
server:
    rundir: {dir}
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 4096
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {zones}
    zonefile-sync: -1
    journal-content: none
    semantic-checks: off
zone:
"""

NSD = """\
server:
    server-count: 1
    ip-address: 127.0.0.1
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{zones}"
    database: ""
    pidfile: "{dir}/nsd.pid"
    xfrdfile: "{dir}/xfrd.state"
    zonelistfile: "{dir}/zone.list"
    xfrdir: "{dir}"
    rrl-ratelimit: 0
    ipv4-edns-size: 4096
    minimal-responses: no
remote-control:
    control-enable: no
"""

NAMED = """\
options {{
    directory "{dir}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file "{dir}/named.pid";
    session-keyfile none;
    managed-keys-directory "{dir}";
    recursion no;
    notify no;
    dnssec-validation no;
    check-names primary ignore;
    max-udp-size 4096;
    minimal-responses no;
}};
controls {{ }};
"""

# What the configuration says at first, and for each zone; the options before "-c".
SERVERS = {
    "knotd": (KNOT, "  - domain: {zone}\n    file: {zone}.zone\n", ()),
    "nsd": (NSD, "zone:\n    name: {zone}\n    zonefile: {zone}.zone\n", ("-d",)),
    "named": (NAMED, 'zone "{zone}" {{ type primary; file "{zones}/{zone}.zone"; }};\n', ("-g",)),
}

PATIENCE = 20.0

# Requests in flight: the socket buffers hold as many replies.
WINDOW = 32


def free_port() -> int:
    """A free UDP and TCP port on loopback."""
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        return port


@contextmanager
def running(
    name: str, command: list[str], port: int, directory: Path, probe: bytes
) -> Iterator[Peer]:
    """A server that runs until the end of the block."""
    log = directory / f"{name}.log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            deadline = time.monotonic() + PATIENCE
            while not answered(sock, probe):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"{name} is silent: {log.read_text()}"
            yield Peer(
                lambda requests: exchange(sock, requests),
                lambda requests: exchange_tcp(("127.0.0.1", port), requests),
            )
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answered(sock: socket.socket, probe: bytes) -> bool:
    """Whether the server answers the probe with records yet."""
    try:
        sock.send(probe)
        if not select.select([sock], [], [], 0.1)[0]:
            return False
        reply = sock.recv(65535)
    except ConnectionRefusedError:
        time.sleep(0.05)
        return False
    return len(reply) > 8 and reply[3] & 15 == 0 and reply[7] > 0


def exchange(sock: socket.socket, requests: Sequence[bytes]) -> list[bytes]:
    """The replies to requests, whose IDs this sets; lost ones are sent again."""
    replies: list[bytes] = []
    for first in range(0, len(requests), WINDOW):
        window = requests[first : first + WINDOW]
        found: dict[int, bytes] = {}
        for _ in range(20):
            waiting = set(range(len(window))) - set(found)
            for index in waiting:
                sock.send((first + index & 0xFFFF).to_bytes(2, "big") + window[index][2:])
            while waiting and select.select([sock], [], [], 1.0)[0]:
                reply = sock.recv(65535)
                index = (int.from_bytes(reply[:2], "big") - first) & 0xFFFF
                if index in waiting:
                    waiting.remove(index)
                    found[index] = window[index][:2] + reply[2:]
            if not waiting:
                break
        lost = [request.hex() for n, request in enumerate(window) if n not in found]
        assert not lost, f"the server does not answer: {lost}"
        replies += [found[index] for index in range(len(window))]
    return replies


def exchange_tcp(server: tuple[str, int], requests: Sequence[bytes]) -> list[bytes]:
    """The same over one TCP connection, one request at a time."""
    with TcpClient(server) as client:
        return [client.ask(request)[0] for request in requests]


@contextmanager
def peers(
    programs: dict[str, str], zones: Path, names: Iterable[str], probe: bytes
) -> Iterator[dict[str, Peer]]:
    """Servers of these programs, of SERVERS, by name."""
    with ExitStack() as stack:
        found = {}
        for name, path in programs.items():
            directory = zones.parent / name
            directory.mkdir()
            port = free_port()
            head, each, options = SERVERS[name]
            text = head.format(dir=directory, port=port, zones=zones)
            text += "".join(each.format(zone=zone, zones=zones) for zone in names)
            config = directory / f"{name}.conf"
            config.write_text(text)
            command = [path, *options, "-c", str(config)]
            found[name] = stack.enter_context(running(name, command, port, directory, probe))
        yield found
