"""The rights that an instance starts with, what it keeps of them, what it says of those missing."""

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
    looked_up,
    serving,
    starting,
    write_config,
)

from xdpkit.lab.namespaces import Lab
from xdpkit.runtime.privileges import KEPT, NEEDED, Capability

pytestmark = pytest.mark.netns

# As the unit has it: root, of whom execve(2) thinks nothing special.
BARE_ROOT = ("--securebits=+noroot,+noroot_locked",)

# MemoryDenyWriteExecute= of the unit: no memory is written and executed (linux 6.3, PR_SET_MDWE).
NO_WRITE_EXECUTE = "import ctypes, os, sys; ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)"
RUN = f"{NO_WRITE_EXECUTE}; os.execvp(sys.argv[1], sys.argv[1:])"


def holding(capabilities: set[Capability], *who: str) -> list[str]:
    """In front of a command: it gets these, ambient, and can get no more."""
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
    """What is left once an instance serves: of its main thread, and of the others."""
    threads = {path.name: rights(path / "status") for path in Path(f"/proc/{pid}/task").iterdir()}
    kept = mask(KEPT)
    main = {"CapInh": 0, "CapPrm": kept, "CapEff": kept, "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 0}
    answering = dict.fromkeys(main, 0) | {"NoNewPrivs": 1, "Seccomp": 2}
    assert threads.pop(str(pid)) == main
    assert list(threads.values()).count(answering) == 3, threads
    # A thread that looks after the zones may be there, too.
    assert all(each in (answering, main) for each in threads.values()), threads


def test_what_root_keeps(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path) as server:
        pid = server.status()["pid"]
        check_rights(pid)
        about = Path(f"/proc/{pid}/status").read_text()
        [bounding] = [line for line in about.splitlines() if line.startswith("CapBnd:")]
        assert int(bounding.split()[1], 16) == mask(set(NEEDED))
        # The zone compiler is a child that needs none of them.
        assert server.request("reload")["zones"]["example"]


def test_what_a_long_lived_process_maps(lab: Lab, tmp_path: Path) -> None:
    """No compiler; and what it maps is locked."""
    with serving(lab, tmp_path) as server:
        pid = server.status()["pid"]
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "libcrypto" in maps
        assert not any(name in maps for name in ("LLVM", "clang", "libbcc"))
        # "dp": glibc's state for getrandom(3), since 2.41, which is never written to a disk.
        unlocked = {what for what, flags in mappings(pid) if not {"lo", "dp"} & set(flags)}
        # The rings and the kernel's own pages never leave memory, and cannot be locked.
        assert {what.split(":")[0] for what in unlocked} <= {
            "socket",
            "[vvar]",
            "[vvar_vclock]",
            "[vdso]",
            "[vsyscall]",
        }
        # Zones and tables are memory without a name, and so among those that are.
        locked = {what for what, flags in mappings(pid) if "lo" in flags}
        assert {"/memfd:xdpkit-umem (deleted)", "", "[heap]"} <= locked


def mappings(pid: int) -> list[tuple[str, list[str]]]:
    """What a process maps, and the flags of each mapping: proc_pid_smaps(5)."""
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
    """From start through reload to the end."""
    with open_directory(lab.server) as directory:
        path = write_config(directory, CONFIG)
        with starting(lab.server, path, holding(set(NEEDED), *who)) as server:
            server.says("stop with SIGTERM")
            for address in (lab.server.ipv4, lab.server.ipv6):
                assert looked_up(lab.client, address=address) == [WWW]
            check_rights(server.process.pid)
            server.signal(signal.SIGHUP)
            server.says("reloaded: 1 zones")
            # An address that comes later wants its sockets, below port 1024.
            add = "ip addr add 192.0.2.77/24 dev server0"
            assert lab.server.run(*add.split()).returncode == 0
            server.says("addresses now: ")
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
            server.says("stop with SIGTERM")
            assert server.stop() == 0, server.log()


def test_realtime(lab: Lab, tmp_path: Path) -> None:
    """SCHED_FIFO for the workers alone, and it is said."""
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
