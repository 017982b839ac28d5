"""The privileges an instance starts with, which it keeps, and what it says about missing ones."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from rights import NOBODY, open_directory
from serving import (
    CONFIG,
    WWW,
    XDPKIT,
    Server,
    eventually,
    look_up,
    serving,
    starting,
    write_config,
)

from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.privileges import KEPT, NEEDED, Capability

pytestmark = pytest.mark.netns

# As in the unit: root without its special treatment by execve(2).
BARE_ROOT = ("--securebits=+noroot,+noroot_locked",)

# The unit's MemoryDenyWriteExecute=: no writable, executable memory (Linux 6.3, PR_SET_MDWE).
NO_WRITE_EXECUTE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)"
RUN = f"{NO_WRITE_EXECUTE}; os.execvp(sys.argv[1], sys.argv[1:])"


def holding(capabilities: set[Capability], *who: str) -> list[str]:
    """A command prefix: the command gets these as ambient capabilities, and can get no others."""
    names = ",".join(["-all", *(f"+{each.name.lower()}" for each in sorted(capabilities))])
    sets = [f"--{kind}={names}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    return ["setpriv", *who, *sets, sys.executable, "-c", RUN]


def mask(capabilities: frozenset[Capability] | set[Capability]) -> int:
    return sum(1 << each for each in capabilities)


def rights(status: Path) -> dict[str, int]:
    """Capability sets, no_new_privs and seccomp mode of a thread, from its status in /proc."""
    pairs = (line.split(":", 1) for line in status.read_text().splitlines())
    facts = {name: value.strip() for name, value in pairs}
    sets = {name: int(facts[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    return sets | {name: int(facts[name]) for name in ("NoNewPrivs", "Seccomp")}


def check_rights(pid: int) -> None:
    """Checks what is left once an instance serves, for its main thread and the others."""
    threads = {path.name: rights(path / "status") for path in Path(f"/proc/{pid}/task").iterdir()}
    kept = mask(KEPT)
    main = {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 0}
    answering = dict.fromkeys(main, 0) | {"NoNewPrivs": 1, "Seccomp": 2}
    assert threads.pop(str(pid)) == main
    assert list(threads.values()).count(answering) == 3, threads
    # A thread that watches the zones may exist, too.
    assert all(each in (answering, main) for each in threads.values()), threads


def test_privileges_kept_as_root(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path) as server:
        pid = server.status()["pid"]
        check_rights(pid)
        about = Path(f"/proc/{pid}/status").read_text()
        [bounding] = [line for line in about.splitlines() if line.startswith("CapBnd:")]
        assert int(bounding.split()[1], 16) == mask(set(NEEDED))
        # The zone compiler is a child that needs none of them.
        assert server.request("reload")["zones"]["example"]


def test_what_a_long_lived_process_maps(lab: Lab, tmp_path: Path) -> None:
    """No compiler; and its mappings are locked."""
    with serving(lab, tmp_path) as server:
        pid = server.status()["pid"]
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "libcrypto" in maps
        assert not any(name in maps for name in ("LLVM", "clang", "libbcc"))
        # "dp": glibc's state for getrandom(3), since 2.41, which is never swapped out.
        unlocked = {what for what, flags in mappings(pid) if not {"lo", "dp"} & set(flags)}
        # The rings and the kernel's own pages are never swapped out, and cannot be locked.
        assert {what.split(":")[0] for what in unlocked} <= {
            "socket",
            "[vvar]",
            "[vvar_vclock]",
            "[vdso]",
            "[vsyscall]",
        }
        # Zones and tables are anonymous mappings, and so among these.
        locked = {what for what, flags in mappings(pid) if "lo" in flags}
        assert {"/memfd:xdpkit-umem (deleted)", "", "[heap]"} <= locked


def mappings(pid: int) -> list[tuple[str, list[str]]]:
    """A process's mappings, with the flags of each: proc_pid_smaps(5)."""
    found = []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)
        if "-" in words[0]:
            what = words[5] if len(words) > 5 else ""
        elif words[0] == "VmFlags:":
            found.append((what, line.split()[1:]))
    return found


@pytest.mark.parametrize("who", [NOBODY, BARE_ROOT], ids=["another user", "root"])
def test_these_capabilities_are_enough(lab: Lab, who: tuple[str, ...]) -> None:
    """From start through reload to shutdown."""
    with open_directory(lab.server) as directory:
        path = write_config(directory, CONFIG)
        with starting(lab.server, path, holding(set(NEEDED), *who)) as server:
            server.wait_for_log("stop with SIGTERM")
            for address in (lab.server.ipv4, lab.server.ipv6):
                assert look_up(lab.client, address=address) == [WWW]
            check_rights(server.process.pid)
            server.signal(signal.SIGHUP)
            server.wait_for_log("reloaded: 1 zones")
            # An address that comes later wants its sockets, below port 1024.
            add = "ip addr add 192.0.2.77/24 dev server0"
            assert lab.server.run(*add.split()).returncode == 0
            server.wait_for_log("addresses now: ")
            eventually(lambda: "192.0.2.77:53" in lab.server.run("ss", "-lunH").stdout, "sockets")
            assert lab.server.run(*add.replace("add ", "del ", 1).split()).returncode == 0
            assert server.stop() == 0, server.log()
            assert "server0 is the kernel's again" in server.log()
    assert lab.server.interface().xdp_program is None


@pytest.mark.parametrize("missing", NEEDED, ids=str)
def test_each_missing_capability(lab: Lab, missing: Capability) -> None:
    with open_directory(lab.server) as directory:
        path = write_config(directory, CONFIG)
        command = [*holding(set(NEEDED) - {missing}, *NOBODY), XDPKIT, "run", "-c", str(path)]
        done = lab.server.run("prlimit", "--memlock=65536", *command)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"xdpkit: {missing} (")
    assert [each for each in NEEDED if str(each) in line] == [missing]
    assert "is missing: run as root, or grant it" in line


def test_unlimited_locked_memory_does_without_its_capability(lab: Lab) -> None:
    unlimited = ("prlimit", "--memlock=unlimited")
    if lab.server.run(*unlimited, "true").returncode:
        pytest.skip("this machine's limit on locked memory cannot be raised")
    with open_directory(lab.server) as directory:
        enough = holding(set(NEEDED) - {Capability.IPC_LOCK}, *NOBODY)
        path = write_config(directory, CONFIG)
        with starting(lab.server, path, (*unlimited, *enough)) as server:
            server.wait_for_log("stop with SIGTERM")
            assert server.stop() == 0, server.log()


def test_realtime(lab: Lab, tmp_path: Path) -> None:
    """SCHED_FIFO for the workers only, and it is logged."""
    config = CONFIG.replace("queues", "realtime = 7\nqueues")
    server = Server(lab.server, write_config(tmp_path, config))
    try:
        status = server.status()
        worker, way_in = status["queues"]["2"]["thread"], status["slow_path"]["udp"]["thread"]
        assert scheduling(worker) == (os.SCHED_FIFO, 7)
        assert scheduling(way_in) == (os.SCHED_OTHER, 0)
        assert "realtime = 7" in server.log()
    finally:
        server.kill()


def scheduling(thread: int) -> tuple[int, int]:
    """Policy and priority of a thread."""
    return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
