"""What somebody else does to the XDP program on the server's interface."""

from __future__ import annotations

import json

from required import missing
from serving import attached, run_here

from xdpkit.lab import Lab


def detach_link(lab: Lab) -> None:
    """Takes the program off the server's interface, as any root may."""
    if run_here("which", "bpftool").returncode:
        missing("no bpftool: vagrant/provision.sh test installs it")
    program = attached(lab.server)
    links = json.loads(run_here("bpftool", "-j", "link", "show").stdout)
    [link] = [link["id"] for link in links if link.get("prog_id") == program]
    done = run_here("bpftool", "link", "detach", "id", str(link))
    assert done.returncode == 0, done.stderr
