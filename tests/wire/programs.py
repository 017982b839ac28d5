"""What other programs do to the XDP program on the server's interface."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from required import missing
from serving import IFNAME, attached, run_here

from xdpkit.bpf import loader
from xdpkit.lab.namespaces import Lab


def want_bpftool() -> None:
    """Fails or skips without bpftool (see ``required``)."""
    if run_here("which", "bpftool").returncode:
        missing("no bpftool: vagrant/provision.sh test installs it")


@dataclass
class Foreign:
    """A foreign XDP program, loaded; it passes everything."""

    lab: Lab
    id: int

    def attach(self, *how: str) -> bool:
        """Attaches it to the server's interface by netlink; returns whether that succeeded."""
        mode, *more = how
        argv = ("bpftool", "net", "attach", mode, "id", str(self.id), "dev", IFNAME, *more)
        return self.lab.server.run(*argv).returncode == 0

    def detach(self) -> None:
        done = self.lab.server.run("bpftool", "net", "detach", "xdpdrv", "dev", IFNAME)
        assert done.returncode == 0, done.stderr


@contextmanager
def foreign_program(lab: Lab) -> Iterator[Foreign]:
    """A foreign program that can be attached during a block."""
    want_bpftool()
    # Without ports to catch it passes everything.
    program = loader.load("catch")
    try:
        about = Path(f"/proc/self/fdinfo/{program.fd}").read_text()
        [number] = re.findall(r"^prog_id:\s+(\d+)$", about, re.MULTILINE)
        foreign = Foreign(lab, int(number))
        try:
            yield foreign
        finally:
            if attached(lab.server) == foreign.id:
                foreign.detach()
    finally:
        program.close()


def detach_link(lab: Lab) -> None:
    """Detaches the program from the server's interface, as root can."""
    want_bpftool()
    program = attached(lab.server)
    links = json.loads(run_here("bpftool", "-j", "link", "show").stdout)
    [link] = [link["id"] for link in links if link.get("prog_id") == program]
    done = run_here("bpftool", "link", "detach", "id", str(link))
    assert done.returncode == 0, done.stderr
