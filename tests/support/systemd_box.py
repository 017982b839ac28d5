"""A real systemd with xdpkit's unit: in namespaces of its own, over this machine's file system.

What it writes is in memory, and gone with it. It has a network namespace with the interface
``eth1``, a four-queue veth pair whose other end, 192.0.2.2, is in the namespace ``client``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from checkout import CHECKOUT

SYSTEMD = Path("/lib/systemd/systemd")
SCRIPT = Path(__file__).with_name("systemd_box.sh")
UNIT = CHECKOUT / "packaging" / "debian" / "xdpkit.service"
NAMESPACES = ("mount", "pid", "net", "uts", "ipc", "cgroup")

# For anything that systemd does, on a machine that is busy with other work.
PATIENCE = 60.0

NETWORK = """
set -e
ip link set lo up
ip link add eth1 numrxqueues 4 numtxqueues 4 type veth peer name peer1 numrxqueues 4 numtxqueues 4
ip netns add client
ip link set peer1 netns client
ip address add 192.0.2.1/24 dev eth1
ip link set eth1 up
ip -n client address add 192.0.2.2/24 dev peer1
ip -n client link set peer1 up
ip -n client link set lo up
mkdir -p /etc/xdpkit/zones
ln -sfn "$XDPKIT" /usr/bin/xdpkit
systemctl daemon-reload
"""

CONFIG = """
[interface]
name = "eth1"
queues = [0, 1, 2, 3]
[ntp]
source = "local"
[dns]
zones = "zones"
"""

ZONE = """
@ 3600 IN SOA ns hostmaster 1 7200 3600 1209600 60
@ 3600 IN NS ns.example.net.
www 60 IN A 192.0.2.80
"""


class SystemdBox:
    """Booted by entering it; the unit is installed, configured and not started."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._cgroup: Path | None = None
        self._first = 0

    def __enter__(self) -> Self:
        if not SYSTEMD.exists() or shutil.which("nsenter") is None:
            # Not installed by the tests: it is the machine's choice.
            pytest.skip("no systemd on this machine")
        flags = [f"--{name}" for name in NAMESPACES]
        self._cgroup = _new_cgroup()
        argv = ["unshare", *flags, "--fork", "--kill-child", str(SCRIPT), str(self._directory)]
        visible = sorted({str(CHECKOUT), sys.prefix})
        self._log = (self._directory.parent / "boot.log").open("w+")
        self._process = subprocess.Popen(
            [*argv, *visible],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=self._enter_cgroup,
        )
        try:
            self._boot()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # --kill-child: with unshare, the first process of the namespace is killed, and with it all.
        self._process.kill()
        self._process.wait()
        self._log.close()
        if self._cgroup:
            until(lambda: not _processes(self._cgroup), "the box's processes end")
            for folder in sorted(self._cgroup.rglob("*/"), reverse=True):
                folder.rmdir()
            self._cgroup.rmdir()

    def run(self, *argv: str, status: int | None = 0, stdin: str = "") -> str:
        """Runs a command inside; returns what it printed, errors too."""
        done = self._inside(*argv, stdin=stdin)
        assert status is None or done.returncode == status, (argv, done.stdout, self.journal())
        return done.stdout

    def _inside(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        flags = [f"--{name}" for name in NAMESPACES]
        return subprocess.run(
            ["nsenter", "-t", str(self._first), *flags, "--root", "--wdns=/", *argv],
            check=False,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )

    def write(self, path: str, text: str) -> None:
        """Writes a file inside."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "sh", path, stdin=text)

    def drop_in(self, text: str) -> None:
        """Replaces the unit's drop-in."""
        self.write("/etc/systemd/system/xdpkit.service.d/test.conf", f"[Service]\n{text}\n")
        self.run("systemctl", "daemon-reload")

    def journal(self) -> str:
        """The log of the service so far."""
        self._inside("journalctl", "--sync")
        return self._inside("journalctl", "-q", "-u", "xdpkit", "-o", "cat", "--no-pager").stdout

    def property(self, name: str) -> str:
        """A property of the unit, as ``systemctl show`` has it."""
        return self.run("systemctl", "show", "xdpkit", "--value", "-p", name).strip()

    def _enter_cgroup(self) -> None:
        if self._cgroup:
            (self._cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def _boot(self) -> None:
        until(self._find_first, "systemd starts")
        until(
            lambda: self.run("systemctl", "is-system-running", status=None).strip() == "running",
            "systemd has booted",
        )
        xdpkit = str(Path(sys.executable).with_name("xdpkit"))
        self.run("sh", "-c", f"XDPKIT={xdpkit}\n{NETWORK}")
        self.write("/etc/systemd/system/xdpkit.service", UNIT.read_text())
        self.write("/etc/xdpkit/xdpkit.toml", CONFIG)
        self.write("/etc/xdpkit/zones/example.zone", ZONE)
        self.run("systemctl", "daemon-reload")

    def _find_first(self) -> bool:
        """Finds the child that unshare has made: the first process of the PID namespace."""
        if self._process.poll() is not None:
            self._log.seek(0)
            pytest.skip(f"systemd cannot be booted in namespaces here: {self._log.read().strip()}")
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._first = int(children[0]) if children else 0
        return bool(children) and Path(f"/proc/{self._first}/comm").read_text() == "systemd\n"


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition; fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.05)


def _new_cgroup() -> Path | None:
    """A cgroup of the unified hierarchy for systemd to own; None without that hierarchy."""
    for mounted in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (mounted / "cgroup.procs").exists() and (mounted / "cgroup.controllers").exists():
            made = mounted / f"xdpkit-test-{os.getpid()}"
            made.mkdir()
            return made
    return None


def _processes(cgroup: Path) -> list[str]:
    return [pid for path in cgroup.rglob("cgroup.procs") for pid in path.read_text().split()]
