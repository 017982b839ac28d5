"""A start that something around it forbids: the line says which call, and what is known of why.

Nothing is guessed: "the verifier", "Linux 6.1" and "run as root" are said only if they are true.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from refusing import refused
from rights import NOBODY, open_directory
from serving import (
    CONFIG,
    DNS,
    STARTING,
    WWW,
    attached,
    eventually,
    look_up,
    starting,
    write_config,
)

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

FORBIDDING = str(Path(__file__).with_name("forbidding.py"))
FILTER = "a seccomp filter is on"


def without(*calls: str) -> tuple[str, ...]:
    """A command prefix: these system calls are answered with EPERM."""
    return (sys.executable, "-P", FORBIDDING, *calls, "--")


# The denied call, and what the line must name.
DENIED = {
    "bpf": ("bpf", "bpf(BPF_MAP_CREATE): Operation not permitted: the process has CAP_BPF"),
    "a program": ("bpf:5", "steer.c: bpf(BPF_PROG_LOAD): Operation not permitted: the process has"),
    "a map": ("bpf:0", "bpf(BPF_MAP_CREATE): Operation not permitted"),
    "a map's element": ("bpf:2", "queue 2 could not be set up: bpf(BPF_MAP_UPDATE_ELEM)"),
    "a link": ("bpf:28", "could not be attached to server0: bpf(BPF_LINK_CREATE)"),
    "AF_XDP": ("socket:44", "queue 2: AF_XDP socket: Operation not permitted: the process has"),
    "netlink": ("socket:16", ": Operation not permitted: a seccomp"),
    "memory": ("mlockall", "memory could not be locked: mlockall: Operation not permitted"),
    "memfd": ("memfd_create", "XDP program could not be started: Operation not permitted"),
    "eventfd": ("eventfd2", "eventfd: Operation not permitted"),
}


@pytest.mark.parametrize("case", DENIED)
def test_a_seccomp_filter(lab: Lab, tmp_path: Path, case: str) -> None:
    call, named = DENIED[case]
    line = refused(lab, tmp_path, before=without(call))
    assert named in line
    assert FILTER in line
    assert not any(guess in line for guess in ("verifier", "6.1", "run as root", "ulimit"))
    assert attached(lab.server) is None


def test_no_thread(lab: Lab, tmp_path: Path) -> None:
    line = refused(lab, tmp_path, before=without("clone", "clone3"))
    assert "can't start new thread" in line


@pytest.mark.parametrize(
    "before",
    [
        without("perf_event_open"),
        ("sh", "-c", 'umask 0777; exec "$@"', "sh"),
        ("sh", "-c", 'mkdir -p /tmp/$$ && cd /tmp/$$ && rmdir /tmp/$$ && exec "$@"', "sh"),
    ],
    ids=["perf", "umask 0777", "no working directory"],
)
def test_what_a_start_does_without(lab: Lab, tmp_path: Path, before: tuple[str, ...]) -> None:
    with starting(lab.server, write_config(tmp_path), before) as server:
        eventually(lambda: "stop with SIGTERM" in server.log(), "a start", STARTING)
        assert look_up(lab.client, address=lab.server.ipv4) == [WWW]
        assert server.stop() == 0, server.log()


SETRLIMIT = without("setrlimit", "prlimit64!2")


def test_limits_that_cannot_be_raised(lab: Lab, tmp_path: Path) -> None:
    """Worth a line, and no refusal."""
    path = write_config(tmp_path, CONFIG.replace(DNS, ""))
    before = ("prlimit", "--nofile=512:1024", *SETRLIMIT)
    with starting(lab.server, path, before) as server:
        eventually(lambda: "stop with SIGTERM" in server.log(), "a start", STARTING)
        forbidden = "the limit on open files stays at 512: setrlimit: Operation not permitted"
        assert forbidden in server.log()
        assert server.stop() == 0, server.log()


def test_a_compiler_that_cannot_be_limited(lab: Lab, tmp_path: Path) -> None:
    """Its memory has a limit, or it does not run."""
    line = refused(lab, tmp_path, before=("prlimit", "--nofile=1024:1024", *SETRLIMIT))
    assert "the zone compiler's memory could not be limited: setrlimit: Operation not" in line
    assert FILTER in line


@pytest.mark.parametrize("limit", [8, 12, 16, 20])
def test_few_open_files(lab: Lab, tmp_path: Path, limit: int) -> None:
    """Wherever the start runs out of them."""
    line = refused(lab, tmp_path, before=("prlimit", f"--nofile={limit}"))
    assert "Too many open files" in line
    assert f"raise the limit on open files, {limit} (ulimit -n" in line


@pytest.mark.parametrize("where", ["/proc", "/sys"])
def test_what_is_not_mounted(lab: Lab, tmp_path: Path, where: str) -> None:
    hide = f'umount -R -l {where}; exec "$@"'
    line = refused(lab, tmp_path, before=("unshare", "-m", "sh", "-c", hide, "sh"))
    assert f"nothing is mounted at {where}: mount " in line


def test_root_of_another_user_namespace(lab: Lab, tmp_path: Path) -> None:
    """It has every capability, and they do not count."""
    line = refused(lab, tmp_path, before=("unshare", "-U", "-r"))
    assert "run as root" not in line
    assert "LimitMEMLOCK" in line or "another user namespace" in line


def test_processes_that_another_user_may_not_have(lab: Lab) -> None:
    caps = "+net_admin,+net_raw,+bpf,+perfmon,+net_bind_service,+ipc_lock"
    with open_directory(lab.server) as directory:
        rights = ("setpriv", *NOBODY, f"--inh-caps={caps}", f"--ambient-caps={caps}")
        line = refused(lab, directory, CONFIG, (*rights, "prlimit", "--nproc=1"))
    assert "Resource temporarily unavailable" in line or "can't start new thread" in line
    assert "ulimit -u" in line
    assert "verifier" not in line
