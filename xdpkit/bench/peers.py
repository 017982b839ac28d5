"""Other servers to compare with: which are available, and how to run each on one CPU, one worker.

They are searched for on PATH and, unpacked but not installed, in ``.cache/peers`` of the
checkout; a TOML file can name more.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from xdpkit.bench import zones
from xdpkit.bench.rows import OWN_NAMES
from xdpkit.config.toml_document import Document
from xdpkit.errors import LabError
from xdpkit.lab.checkout import checkout
from xdpkit.lab.namespaces import Lab
from xdpkit.services.ntp.client import HEADER as NTP_HEADER

READY_SECONDS = 20.0
STOP_SECONDS = 5.0
PORT = {"ntp": 123, "dns": 53}


@dataclass(frozen=True)
class Peer:
    """A server to compare with. In ``command`` and ``files``, {address}, {port}, {zone} (a master
    file), {dir} (its own directory) and {interface} are filled in."""

    name: str
    service: str
    command: tuple[str, ...]
    port: int
    files: tuple[tuple[str, str], ...] = ()
    ready: str = ""
    """Text in its output that says it is up; if empty, it is up once it replies to a request."""
    version: str = ""
    """The version it reports, or its path."""


# One worker each, no file outside {dir}; response rate limiting off, as in the others.
KNOT_SERVER = """\
server:
    rundir: {dir}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
%s
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
"""
KNOT = (
    KNOT_SERVER
    + """\
zone:
  - domain: bench.example
    file: {zone}
    zonefile-sync: -1
    journal-content: none
"""
)
KNOT_SOCKETS = "    listen: {address}@{port}"
KNOT_XDP = "xdp:\n    listen: {interface}@{port}"

NSD = """\
server:
    server-count: 1
    ip-address: {address}
    port: {port}
    username: ""
    chroot: ""
    zonesdir: "{dir}"
    database: ""
    pidfile: "{dir}/nsd.pid"
    xfrdfile: "{dir}/xfrd.state"
    zonelistfile: "{dir}/zone.list"
    rrl-ratelimit: 0
    xfrdir: "{dir}"
remote-control:
    control-enable: no
zone:
    name: bench.example
    zonefile: {zone}
"""

# -x: does not touch the clock; no file but its PID file, no control port.
CHRONYD = (
    *("-x", "-d", "-u", "root", "pidfile {dir}/chronyd.pid", "cmdport 0", "bindcmdaddress /"),
    *("local stratum 8", "allow", "port {port}"),
)


def _knotd(path: str, name: str, listen: str) -> Peer:
    files = (("knot.conf", KNOT % listen),)
    return Peer(name, "dns", (path, "-c", "{dir}/knot.conf"), 53, files)


def installed_peers() -> list[Peer]:
    """The peers available on this machine."""
    makers: dict[str, Callable[[str], list[Peer]]] = {
        "knotd": lambda path: [
            _knotd(path, "knotd-xdp", KNOT_XDP),
            _knotd(path, "knotd", KNOT_SOCKETS),
        ],
        "nsd": lambda path: [
            Peer("nsd", "dns", (path, "-d", "-c", "{dir}/nsd.conf"), 53, (("nsd.conf", NSD),))
        ],
        "chronyd": lambda path: [Peer("chronyd", "ntp", (path, *CHRONYD), 123)],
    }
    return [
        replace(peer, version=version(path))
        for name, make in makers.items()
        for path in find_program(name)
        for peer in make(path)
    ]


def version(path: str) -> str:
    """The first line with a version number that ``-V`` or ``-v`` prints, or the path."""
    for option in ("-V", "-v"):
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run([path, option], capture_output=True, text=True, timeout=5)
            for line in (done.stdout + done.stderr).splitlines():
                if not done.returncode and re.search(r"\d+\.\d+", line):
                    return line.strip()
    return path


def find_program(program: str) -> list[str]:
    """Where a program is: one path or none."""
    root = checkout()
    on_path = shutil.which(program)
    unpacked = sorted(root.glob(f".cache/peers/*/usr/sbin/{program}")) if root else []
    return [on_path or str(unpacked[0])] if on_path or unpacked else []


def read_peers(path: Path) -> list[Peer]:
    """The peers in a TOML file: one table each, named after it. Raises ConfigError."""
    document = Document(path)
    return [_read_table(document, name) for name in document.data]


def _read_table(document: Document, name: str) -> Peer:
    table = document.table(name)
    if unknown := table.unknown(("service", "command", "port", "ready")):
        raise unknown[0]
    if name in OWN_NAMES:
        raise document.error((name,), f"{name} is one of xdpkit's own rows: choose another name")
    table.require("service", '"dns"')
    table.require("command", '["server", "--listen", "{address}:{port}"]')
    service = table.choice("service", tuple(PORT))
    command = table.strings("command")
    if not command:
        raise table.error("command", "is empty: name the program and its arguments")
    port = table.integer("port", 1, 65535, PORT[service])
    return Peer(name, service, command, port, ready=table.string("ready"), version=command[0])


@contextmanager
def serving(lab: Lab, peer: Peer, cpu: int) -> Iterator[None]:
    """Runs the peer in the lab's server namespace, up and answering. Raises LabError."""
    with tempfile.TemporaryDirectory(prefix="xdpkit-peer-") as scratch:
        directory = Path(scratch)
        zone = directory / f"{zones.ORIGIN}.zone"
        zone.write_text(zones.zone_text(zones.SMALL))
        values = {
            "address": lab.server.ipv4,
            "port": str(peer.port),
            "zone": str(zone),
            "dir": scratch,
            "interface": lab.server.ifname,
        }
        for name, text in peer.files:
            (directory / name).write_text(fill_in(text, values))
        command = [fill_in(word, values) for word in peer.command]
        log = directory / "log"
        with log.open("w") as output:
            process = lab.server.popen(
                "taskset", "-c", str(cpu), *command, stdout=output, stderr=output
            )
        try:
            _await_ready(lab, peer, process, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def fill_in(text: str, values: dict[str, str]) -> str:
    """The text with {name} replaced for each name in ``values``; other braces stay."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _await_ready(lab: Lab, peer: Peer, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not (peer.ready in log.read_text() if peer.ready else _replies(lab, peer)):
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text().strip().splitlines()
            last_line = words[-1] if words else "nothing"
            raise LabError(f"{peer.name} did not come up; its last line of output: {last_line}")
        time.sleep(0.05)


def _replies(lab: Lab, peer: Peer) -> bool:
    """Whether any datagram comes back; judging its contents is up to the load generator."""
    request = NTP_HEADER.pack(4 << 3 | 3, 0, 0, 0, 0, 0, bytes(4), 0, 0, 0, 1)
    if peer.service == "dns":
        request = zones.queries(1)[0]
    with lab.client.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((lab.server.ipv4, peer.port))
        try:
            client.send(request)
            return bool(client.recv(2048))
        except OSError:
            return False
