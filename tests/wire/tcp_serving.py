"""Servers with DNS over TCP in the lab, their clients, and their status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payloads import query
from serving import CONFIG, ZONE, Server, serving
from tcp_client import TcpClient

from xdpkit._core._tcp_listener import ENDS
from xdpkit.lab.namespaces import Lab

# 228 records of about 263 bytes: 60 KB.
HUGE = "".join(f'huge TXT "{number:03}{"h" * 247}"\n' for number in range(228))
LARGE, WHOLE = query("large.example", "TXT", edns=0), query("huge.example", "TXT", edns=0)
WWW = query("www.example", edns=0)


@contextmanager
def limited(lab: Lab, directory: Path, **keys: int) -> Iterator[Server]:
    """A server for one test, with these keys under [dns]."""
    lines = "".join(f"tcp_{name} = {value}\n" for name, value in keys.items())
    config = CONFIG.replace('zones = "zones"\n', 'zones = "zones"\n' + lines)
    with serving(lab, directory, config, ZONE + HUGE) as server:
        yield server


def connect(lab: Lab, family: int = 4, source: str = "", **options: int) -> TcpClient:
    """A client in the client's namespace."""
    with lab.client.entered():
        address = lab.server.ipv4 if family == 4 else lab.server.ipv6
        return TcpClient((address, 53), source, **options)


def tcp(server: Server) -> dict[str, int]:
    """The TCP part of the status; the reasons why connections ended, by name, are merged in."""
    status = server.status()["slow_path"]["tcp"]
    return dict.fromkeys(ENDS, 0) | status | status["ended"]


def listening(lab: Lab) -> set[str]:
    """Addresses in the server's namespace that have a listening TCP socket."""
    lines = lab.server.run("ss", "-ltnH").stdout.splitlines()
    return {line.split()[3].rpartition(":")[0].strip("[]") for line in lines}
