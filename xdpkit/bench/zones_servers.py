"""The servers that ``bench --zones`` compares: how each serves many zones and rereads one.

They run in a lab, on all CPUs, as they would be started for this: loading may use threads.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdpkit import __version__
from xdpkit.bench import peers, rows, testbed, zones_site
from xdpkit.bench.zones_site import Asker, Site
from xdpkit.control.client import request
from xdpkit.errors import LabError
from xdpkit.lab.namespaces import Lab
from xdpkit.runtime import child

# The longest that loading all zones may take: 10,000 took 100 s when they were one arena.
START_SECONDS = 900.0
STOP_SECONDS = 20.0
# The longest that a control command may take.
COMMAND_SECONDS = 60.0

KNOT = """\
server:
    rundir: {dir}
    listen: {address}@53
control:
    listen: {dir}/knot.sock
database:
    storage: {dir}
log:
  - target: stderr
    any: warning
template:
  - id: default
    file: {zones}/%s.zone
    zonefile-sync: -1
    journal-content: none
zone:
"""

NSD = """\
server:
    ip-address: {address}
    username: ""
    chroot: ""
    zonesdir: "{zones}"
    database: ""
    pidfile: "{dir}/nsd.pid"
    xfrdfile: "{dir}/xfrd.state"
    zonelistfile: "{dir}/zone.list"
    rrl-ratelimit: 0
    xfrdir: "{dir}"
remote-control:
    control-enable: yes
    control-interface: "{dir}/nsd.sock"
"""

NAMED = """\
options {
    directory "{zones}";
    listen-on { {address}; };
    listen-on-v6 { none; };
    pid-file "{dir}/named.pid";
    session-keyfile none;
    managed-keys-directory "{dir}";
    recursion no;
    notify no;
    dnssec-validation no;
};
key control { algorithm hmac-sha256; secret "eGRwa2l0IGJlbmNo"; };
controls { inet 127.0.0.1 port 953 allow { 127.0.0.1; } keys { control; }; };
"""
# rndc(8) takes its key from a file of its own.
RNDC = 'key control { algorithm hmac-sha256; secret "eGRwa2l0IGJlbmNo"; };\n'

OWN = """\
[dns]
zones = "{zones}"
cache = "{cache}"
"""


@dataclass(frozen=True)
class Server:
    """A server, with the text of each file beside it; {dir}, {zones}, {address} are filled in."""

    name: str
    version: str
    command: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    zone: str = ""
    """What its first file says for each zone, {name} filled in."""
    reread: tuple[str, ...] = ()
    """The command that rereads the zone {name}; none: it sees that the file has changed."""

    @property
    def ours(self) -> bool:
        """Whether this is xdpkit."""
        return not self.reread


def own_server() -> Server:
    """xdpkit, which watches the files."""
    config = rows.configuration(OWN)
    return Server("xdpkit", f"xdpkit {__version__}", (), (("xdpkit.toml", config),))


def installed_servers() -> tuple[list[Server], dict[str, str]]:
    """xdpkit and the others on this machine, and why one is not among them."""
    found, skipped = [own_server()], dict[str, str]()
    makers = (("knotd", "knotc", _knotd), ("nsd", "nsd-control", _nsd), ("named", "rndc", _named))
    for program, control, make in makers:
        paths = [*peers.find_program(program)[:1], *peers.find_program(control)[:1]]
        if len(paths) == 2:
            found.append(make(*paths))
        else:
            skipped[program] = f"no {program} and {control}: vagrant/provision.sh bench has them"
    return found, skipped


def _knotd(path: str, control: str) -> Server:
    command = (path, "-c", "{dir}/knot.conf")
    reread = (control, "-s", "{dir}/knot.sock", "zone-reload", "{name}")
    zone = "  - domain: {name}\n"
    return Server("knotd", peers.version(path), command, (("knot.conf", KNOT),), zone, reread)


def _nsd(path: str, control: str) -> Server:
    command = (path, "-d", "-c", "{dir}/nsd.conf")
    reread = (control, "-c", "{dir}/nsd.conf", "reload", "{name}")
    zone = "zone:\n    name: {name}\n    zonefile: {name}.zone\n"
    return Server("nsd", peers.version(path), command, (("nsd.conf", NSD),), zone, reread)


def _named(path: str, control: str) -> Server:
    command = (path, "-g", "-c", "{dir}/named.conf")
    reread = (control, "-k", "{dir}/rndc.key", "-s", "127.0.0.1", "reload", "{name}")
    files = (("named.conf", NAMED), ("rndc.key", RNDC))
    zone = 'zone "{name}" { type primary; file "{name}.zone"; };\n'
    return Server("named", peers.version(path), command, files, zone, reread)


# --------------------------------------------------------------------------------------------------


class Running:
    """A server that was started in its lab, and a client of it."""

    def __init__(self, server: Server, site: Site, directory: Path, cache: Path, lab: Lab) -> None:
        self.server, self.site, self.lab = server, site, lab
        self.directory, self.cache = directory, cache
        self._values = {
            "dir": str(directory),
            "cache": str(cache),
            "zones": str(site.directory),
            "address": lab.server.ipv4,
        }
        self.asker = Asker(lab)
        self._process: subprocess.Popen[str] | None = None

    def write_files(self) -> None:
        """Writes its configuration, all zones listed."""
        for number, (name, text) in enumerate(self.server.files):
            filled = peers.fill_in(text, self._values)
            if number == 0 and self.server.zone:
                every = map(zones_site.name, range(self.site.count))
                filled += "".join(self.server.zone.replace("{name}", zone) for zone in every)
            (self.directory / name).write_text(filled)

    def start(self, cpus: Sequence[int] = ()) -> float:
        """Starts it, on these CPUs; returns the time before, of ``time.monotonic``."""
        pinned = ["taskset", "-c", ",".join(map(str, cpus))] if cpus else []
        command = [peers.fill_in(word, self._values) for word in self.server.command]
        options = {}
        if self.server.ours:
            command = child.python("xdpkit", "run", "-c", str(self.directory / "xdpkit.toml"))
            options = child.options()
        with (self.directory / "log").open("w") as log:
            begin = time.monotonic()
            self._process = self.lab.server.popen(
                *pinned, *command, stdout=log, stderr=log, **options
            )
        return begin

    def is_alive(self) -> bool:
        """Whether its first process still runs."""
        return self._process is not None and self._process.poll() is None

    def pids(self) -> list[int]:
        """All of its processes."""
        return testbed.pids_in(self.lab.server)

    def reread(self, number: int) -> None:
        """Has it reread a zone, unless it sees the change itself. Raises LabError."""
        if not self.server.reread:
            return
        values = self._values | {"name": zones_site.name(number)}
        command = [peers.fill_in(word, values) for word in self.server.reread]
        done = self.lab.server.run(*command, timeout=COMMAND_SECONDS)
        if done.returncode:
            words = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
            raise LabError(f"{self.server.name}: {command[0]}: {words[-1]}")

    def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json`` of ours. Raises ControlError."""
        with self.lab.server.entered():
            return request(self.lab.server.ifname, "status")

    def fault(self) -> LabError:
        """The error for one that does not answer, with the end of its log."""
        lines = (self.directory / "log").read_text().strip().splitlines() or ["nothing"]
        return LabError(f"{self.server.name} did not answer; its log ends with: {lines[-1]}")

    def stop(self) -> None:
        """Ends it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def in_lab(
    server: Server, site: Site, directory: Path, cache: Path | None = None
) -> Iterator[Running]:
    """A server that can be started, in a lab of its own; its files are in ``directory``.

    It keeps compiled zones in ``cache``, by default an empty one.
    """
    directory.mkdir()
    with Lab(1) as lab:
        running = Running(server, site, directory, cache or directory / "cache", lab)
        try:
            running.write_files()
            yield running
        finally:
            running.stop()
            running.asker.close()


@contextmanager
def started(
    server: Server, site: Site, directory: Path, say: zones_site.Say, cpus: Sequence[int] = ()
) -> Iterator[Running]:
    """A server in a lab of its own that answers for all zones. Raises LabError.

    What one of ours has compiled is there for the next one.
    """
    with in_lab(server, site, directory, site.directory.with_suffix(".cache")) as running:
        running.start(cpus)
        await_answers(running, site.sample(), say)
        yield running


def await_answers(running: Running, numbers: Sequence[int], say: zones_site.Say) -> float:
    """The time of ``time.monotonic`` when all these zones had answered. Raises LabError."""
    begin = said = time.monotonic()
    left = len(numbers)
    deadline = begin + START_SECONDS
    for left in zones_site.await_all(running.asker, numbers, deadline, running.is_alive):
        now = time.monotonic()
        if now - said > 1:
            said = now
            name = running.server.name
            say(f"{name}: {now - begin:.0f} s, {left:,} of {len(numbers):,} zones to come")
    if left:
        raise running.fault()
    return time.monotonic()


def memory(pids: Iterable[int]) -> int:
    """Bytes resident in processes: shared pages are divided among those that share them.

    PSS of smaps_rollup (linux Documentation/filesystems/proc.rst).
    """
    total = 0
    for pid in pids:
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in text.splitlines() if line[:4] == "Pss:")
    return total * 1024


def cache_bytes(directory: Path) -> int:
    """The size of all files below a directory."""
    sizes = 0
    for folder, _, files in os.walk(directory):
        for file in files:
            # It may have been renamed meanwhile.
            with suppress(OSError):
                sizes += (Path(folder) / file).stat().st_size
    return sizes
