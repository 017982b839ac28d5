"""``xdpkit run`` in the lab's server namespace, and what tests do with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

from dns_zones import zone_directory
from pyroute2 import IPRoute

from xdpkit._core._snapshot import Snapshot
from xdpkit.control import client as control_client
from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import SERVER_IPV4, Lab, Side
from xdpkit.nic.os.interface import Interface
from xdpkit.services.ntp.local import local_state

XDPKIT = str(Path(sys.executable).with_name("xdpkit"))
IFNAME = "server0"
QUEUE = 2
QUEUES = 4

# The ways in over the network, and a queue whose requests take each.
WAYS_IN = {"ring": QUEUE, "slow path": 1}

# How long anything may take on a machine that is busy with other work.
PATIENCE = 20.0

# How long a start may take with zones of a few megabytes, which are compiled first.
STARTING = 100.0

# What the server reveals about itself, and the secret of its cookies.
DNS_SETTINGS = {
    "cookie_secrets": (bytes(range(16)),),
    "nsid": b"lab",
    "version": b"xdpkit in the lab",
}
DNS = f"""
[dns]
zones = "zones"
cookie_secret = "{bytes(range(16)).hex()}"
nsid = "lab"
version = "xdpkit in the lab"
"""

CONFIG = f"""
[interface]
name = "server0"
queues = [2]
[ntp]
{DNS}
[echo]
"""

# The address of www.example in ZONE.
WWW = "192.0.2.80"

ZONE = (
    """$ORIGIN example.
$TTL 300
@ SOA ns hostmaster 1 7200 3600 1209600 60
@ NS ns
ns A 192.0.2.1
www A 192.0.2.80
 AAAA 2001:db8::80
*.wild TXT "any name"
alias CNAME www
deep.in.the A 192.0.2.81
sub NS ns.sub
ns.sub A 192.0.2.53
"""
    + f"longer DNAME {'.'.join(['l' * 60] * 3)}\n"
    + "\n".join(f'large TXT "{number:02}{"x" * 200}"' for number in range(12))
    + "\n"
)

T = TypeVar("T")


def eventually(ask: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Polls until the answer is true, or fails."""
    deadline = time.monotonic() + patience
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"waited {patience:g} s for {what}"
        time.sleep(0.01)
    return answer


def write_config(directory: Path, config: str = CONFIG, zone: str = ZONE) -> Path:
    """A configuration file and its zone "example"; returns the file's path."""
    (directory / "zones").mkdir(parents=True, exist_ok=True)
    (directory / "zones" / "example.zone").write_text(zone)
    path = directory / "xdpkit.toml"
    path.write_text(config)
    return path


class Started:
    """``xdpkit run`` in a namespace, ready or not yet.

    ``before`` precedes the command, ``more`` are further arguments, ``program`` replaces
    ``xdpkit run``.
    """

    def __init__(
        self,
        side: Side,
        path: Path,
        before: Sequence[str] = (),
        more: Sequence[str] = (),
        program: Sequence[str] = (XDPKIT, "run"),
    ) -> None:
        self.side, self.path = side, path
        self._log = path.with_suffix("".join((*more, ".log")).replace("--", "."))
        argv = (*before, *program, "-c", str(path), *more)
        with self._log.open("w") as log:
            self.process = side.popen(*argv, stdout=log, stderr=log)

    def log(self) -> str:
        """What the process has written."""
        return self._log.read_text()

    def wait_for_log(self, words: str) -> None:
        """Waits until these words are in the log."""
        eventually(lambda: words in self.log(), words)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Sends SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        """Sends SIGKILL if it is still running."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextmanager
def starting(side: Side, path: Path, before: Sequence[str] = ()) -> Iterator[Started]:
    """An instance that is starting; killed at the end of the block if the test did not stop it."""
    started = Started(side, path, before)
    try:
        yield started
    finally:
        started.kill()


class Server(Started):
    """A running instance, ready once constructed; ``stop`` shuts it down cleanly."""

    def __init__(
        self,
        side: Side,
        path: Path,
        ifname: str = IFNAME,
        before: Sequence[str] = (),
        more: Sequence[str] = (),
        program: Sequence[str] = (XDPKIT, "run"),
    ) -> None:
        super().__init__(side, path, before, more, program)
        self.ifname = ifname
        try:
            eventually(self._ready, "xdpkit run", STARTING)
        except BaseException:
            self.kill()
            raise

    def _ready(self) -> bool:
        assert self.process.poll() is None, f"xdpkit run ended: {self.log()}"
        try:
            self.status()
        except ControlError:
            return False
        return True

    def request(self, verb: str) -> dict[str, Any]:
        """Sends a request over the control socket."""
        with self.side.entered():
            return control_client.request(self.ifname, verb, time_limit=PATIENCE)

    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``."""
        return self.request("status")

    def verdicts(self) -> dict[str, int]:
        """Every verdict's count, over all queues and ways in."""
        counts: dict[str, int] = self.status()["verdicts"]
        return counts

    def answers_by(self, way_in: str) -> int:
        """Answers given by one of WAYS_IN."""
        status = self.status()
        counts = status["queues"][str(QUEUE)] if way_in == "ring" else status["slow_path"]["udp"]
        given: int = counts["tx"]
        return given

    def resident_pages(self) -> int:
        """The process's resident memory, in pages."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in text.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) * 1024 // os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(
    lab: Lab,
    directory: Path,
    config: str = CONFIG,
    zone: str = ZONE,
    before: Sequence[str] = (),
) -> Iterator[Server]:
    """An instance during a block; if still running at the end, it must shut down cleanly."""
    server = Server(lab.server, write_config(directory, config, zone), before=before)
    try:
        yield server
        if server.process.poll() is None:
            assert server.stop() == 0, server.log()
    finally:
        server.kill()


def bytes_call(directory: Path, precision: int) -> Snapshot:
    """The snapshot of the instance in this directory, for the bytes call in ``_core._answer``."""
    zones = zone_directory(directory / "zones")
    state = local_state(10) | {"precision": precision}
    return Snapshot({"ntp": 123, "dns": 53, "echo": 7}, zones=zones, ntp=state, dns=DNS_SETTINGS)


def interface_of(side: Side) -> tuple[Interface, bytes]:
    """A side's interface and its MAC address."""
    with IPRoute(netns=side.namespace) as ipr:
        index = ipr.link_lookup(ifname=side.ifname)[0]
        [link] = ipr.get_links(index)
        mac = bytes.fromhex(link.get_attr("IFLA_ADDRESS").replace(":", ""))
    return Interface(side.ifname, index, QUEUES, True, None), mac


def attached(side: Side, ifname: str = IFNAME) -> int | None:
    """The ID of the XDP program on an interface, or None."""
    with IPRoute(netns=side.namespace) as ipr:
        [link] = ipr.get_links(ipr.link_lookup(ifname=ifname)[0])
        xdp = link.get_attr("IFLA_XDP")
        found: int | None = xdp.get_attr("IFLA_XDP_PROG_ID") if xdp else None
        return found


def reload(lab: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ``xdpkit reload`` as an operator would."""
    return lab.server.run(XDPKIT, "reload", *arguments)


def look_up(side: Side, name: str = "www.example", address: str = SERVER_IPV4) -> list[str]:
    """The IPv4 addresses of a name, as dig gets them at the first try."""
    done = side.run("dig", "+short", "+tries=1", "+time=10", f"@{address}", name, "A")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def ping(lab: Lab) -> None:
    """Pings the server's kernel over both families."""
    for address in (lab.server.ipv4, lab.server.ipv6):
        done = lab.client.run("ping", "-n", "-c", "1", "-W", "5", address)
        assert done.returncode == 0, done.stdout + done.stderr


def run_here(*argv: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a program outside the lab's namespaces."""
    return subprocess.run(
        argv, text=True, capture_output=True, timeout=timeout, check=False, **options
    )


def health(lab: Lab) -> tuple[int, str]:
    """Status and text of GET /health."""
    with lab.server.entered():
        try:
            with urlopen("http://127.0.0.1:9153/health", timeout=PATIENCE) as reply:
                return reply.status, reply.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()
