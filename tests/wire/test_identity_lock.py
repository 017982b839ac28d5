"""Who may hold the lock, answer and command: squatters, User=, root without rights."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from rights import NOBODY, open_directory
from serving import (
    PATIENCE,
    STARTING,
    WWW,
    XDPKIT,
    Server,
    Started,
    attached,
    eventually,
    look_up,
    serving,
    write_config,
)
from test_privileges import holding

from xdpkit.lab.namespaces import Lab, Side
from xdpkit.nic.setup import journal
from xdpkit.nic.setup.device import Device
from xdpkit.runtime.netns import namespace
from xdpkit.runtime.privileges import NEEDED

pytestmark = pytest.mark.netns

USER = 65534
# Not sys.executable: another user may have no access to the virtual environment.
SQUATTER = """
import socket, sys, time
held = socket.socket(socket.AF_UNIX)
held.bind("\\0xdpkit/server0")
if "silent" not in sys.argv:
    held.listen()
print("bound", flush=True)
while True:
    if "silent" in sys.argv:
        time.sleep(60)
    try:
        held.accept()[0].sendall(b'{"reply": {}}\\n')
    except OSError:
        pass
"""


@contextmanager
def squatting(side: Side, *arguments: str, user: int = USER) -> Iterator[subprocess.Popen[str]]:
    """A process of another user that holds the name of the control socket."""
    command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    process = side.popen(
        *command, "/usr/bin/python3", "-I", "-c", SQUATTER, *arguments, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "bound\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE)


def names(lab: Lab) -> list[str]:
    """The abstract names of xdpkit in the server's namespace, of listening sockets."""
    with lab.server.entered():
        table = Path("/proc/thread-self/net/unix").read_text()
    lines = [line.split() for line in table.splitlines() if " 00010000 " in line]
    return [words[7] for words in lines if len(words) > 7 and words[7].startswith("@xdpkit/")]


def locks(lab: Lab) -> list[Path]:
    """Those of the server's namespace."""
    with lab.server.entered():
        return list(Path("/run/xdpkit").glob(f"*@{namespace()}.lock"))


@pytest.mark.parametrize("how", ["silent", "listening"])
def test_a_squatter_does_not_keep_a_service_from_starting(
    lab: Lab, tmp_path: Path, how: str
) -> None:
    with ExitStack() as squatter:
        process = squatter.enter_context(squatting(lab.server, how))
        with serving(lab, tmp_path) as server:
            assert len(locks(lab)) == 1
            [line] = [line for line in server.log().splitlines() if "@xdpkit/server0" in line]
            if how == "listening":
                assert f"(pid {process.pid}) of user {USER}; until it is free" in line
            [name] = [name for name in names(lab) if name.startswith("@xdpkit/server0/")]
            assert name in line
            # With and without the interface's name; and a takeover.
            for argv in (["status"], ["status", "server0"], ["reload"], ["reload", "server0"]):
                done = lab.server.run(XDPKIT, *argv)
                assert done.returncode == 0, done.stderr
            second = Server(lab.server, server.path, more=("--takeover",))
            try:
                assert server.process.wait(PATIENCE) == 0, server.log()
                assert second.status()["pid"] == second.process.pid
                assert look_up(lab.client) == [WWW]
                squatter.close()
                words = "the control socket has its name @xdpkit/server0 again"
                eventually(lambda: words in second.log(), words)
                assert names(lab) == ["@xdpkit/server0"]
                assert lab.server.run(XDPKIT, "reload", "server0").returncode == 0
                assert second.stop() == 0
            finally:
                second.kill()
    assert names(lab) == [] and locks(lab) == []


# Root's commands find the instance nevertheless. What others listen at looks like an instance of
# ours that cannot have its name, and nobody can connect to it.
FLOOD = """
import socket, sys, threading
name = sys.argv[1].replace("@", "\\0")
held = []
def connect(name):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    try:
        connection.connect(name)
    except OSError:
        pass
    return connection
def flood():
    while True:
        connect(name).close()
for number in range(int(sys.argv[2])):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].bind(f"\\0xdpkit/server0/0000{number:04}")
    held[-1].listen(0)
    held.append(connect(held[-1].getsockname()))
for _ in range(150):
    threading.Thread(target=flood).start()
print("begun", flush=True)
"""


@pytest.mark.parametrize("squatted", [False, True])
def test_a_crowd_that_connects_without_end(lab: Lab, tmp_path: Path, squatted: bool) -> None:
    """The backlog is always full: root's commands wait their turn, and find the instance."""
    with ExitStack() as stack:
        if squatted:
            stack.enter_context(squatting(lab.server, "listening"))
        server = stack.enter_context(serving(lab, tmp_path))
        [name] = [name for name in names(lab) if ("server0/" in name) == squatted]
        crowd = stack.enter_context(
            lab.server.popen(
                *("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"),
                *("/usr/bin/python3", "-I", "-c", FLOOD, name, "300" if squatted else "0"),
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(crowd.kill)
        assert crowd.stdout is not None and crowd.stdout.readline() == "begun\n"
        for argv in (["reload"], ["reload", "server0"], ["status"]):
            done = lab.server.run(XDPKIT, *argv)
            assert done.returncode == 0, done.stderr
        successor = Server(lab.server, server.path, more=("--takeover",))
        stack.callback(successor.kill)
        assert server.process.wait(PATIENCE) == 0, server.log()
        # The name is in the lock that was handed over.
        assert lab.server.run(XDPKIT, "reload").returncode == 0
        assert successor.stop() == 0


def test_only_one_instance(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path) as server:
        done = lab.server.run(XDPKIT, "run", "-c", str(server.path))
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line == (
            f"xdpkit: another xdpkit serves server0 (pid {server.process.pid}): stop it, or serve "
            "another interface"
        )
        assert look_up(lab.client) == [WWW]


def test_a_crash_frees_the_lock(lab: Lab, tmp_path: Path) -> None:
    with serving(lab, tmp_path) as server:
        server.kill()
        with serving(lab, tmp_path / "again"):
            assert look_up(lab.client) == [WWW]


@contextmanager
def private_run(lab: Lab, user: int | None) -> Iterator[tuple[str, ...]]:
    """What to put before a command so that it has a /run of its own, with /run/xdpkit of a user."""
    make = "mount -t tmpfs -o mode=755 run /run"
    if user is not None:
        make += f" && install -d -m 700 -o {user} /run/xdpkit"
    script = f"{make} && echo made && exec sleep infinity"
    holder = lab.server.popen("unshare", "-m", "sh", "-c", script, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "made\n"
        yield ("nsenter", "-m", "-t", str(holder.pid))
    finally:
        holder.kill()
        holder.communicate(timeout=PATIENCE)


@contextmanager
def service_of(
    lab: Lab, path: Path, inside: tuple[str, ...], user: tuple[str, ...] = NOBODY
) -> Iterator[Started]:
    """An instance with User=, which is ready."""
    argv = (*inside, *holding(set(NEEDED), *user))
    started = Started(lab.server, path, before=argv)
    try:
        eventually(lambda: "stop with SIGTERM" in started.log(), "the start", STARTING)
        yield started
    finally:
        started.kill()


def run(lab: Lab, inside: tuple[str, ...], *argv: str) -> subprocess.CompletedProcess[str]:
    return lab.server.run(*inside, *argv)


def test_root_commands_an_instance_of_another_user(lab: Lab) -> None:
    with (
        private_run(lab, USER) as inside,
        open_directory(lab.server) as directory,
        service_of(lab, write_config(directory), inside) as service,
    ):
        for argv in (["status"], ["status", "server0", "--json"], ["reload"]):
            done = run(lab, inside, XDPKIT, *argv)
            assert done.returncode == 0, done.stderr
        # Nobody else may command it, and the user itself may.
        other = ("setpriv", "--reuid=1", "--regid=1", "--clear-groups", XDPKIT)
        assert "not queried" in run(lab, inside, *other, "reload", "server0").stderr
        same = ("setpriv", *NOBODY, XDPKIT)
        assert run(lab, inside, *same, "reload").returncode == 0
        # Root's instance is the second one.
        done = run(lab, inside, XDPKIT, "run", "-c", str(service.path))
        assert done.returncode == 1 and "another xdpkit serves server0 (pid" in done.stderr
        # Root takes over from it.
        second = Started(lab.server, service.path, before=inside, more=("--takeover",))
        try:
            eventually(lambda: "stop with SIGTERM" in second.log(), "the successor", STARTING)
            assert service.process.wait(PATIENCE) == 0, service.log()
            assert "server0 is restarted" not in second.log()
            assert look_up(lab.client) == [WWW]
            # The user's rights end with its instance.
            done = run(lab, inside, *same, "reload", "server0")
            assert "reload is for root (with CAP_NET_ADMIN)" in done.stderr
            assert run(lab, inside, XDPKIT, "reload", "server0").returncode == 0
            assert second.stop() == 0, second.log()
        finally:
            second.kill()
    assert attached(lab.server) is None


def test_root_does_not_believe_whoever_listens(lab: Lab) -> None:
    """The user that holds the lock is asked, another one with the name is not."""
    with private_run(lab, USER) as inside, squatting(lab.server, user=1):
        done = run(lab, inside, XDPKIT, "status", "server0")
        assert done.returncode == 1 and "of user 1, not to root or you: not queried" in done.stderr
        with (
            open_directory(lab.server) as directory,
            service_of(lab, write_config(directory), inside),
        ):
            assert run(lab, inside, XDPKIT, "reload", "server0").returncode == 0


def test_without_a_directory_the_name_is_the_lock(lab: Lab) -> None:
    with (
        private_run(lab, None) as inside,
        open_directory(lab.server) as directory,
        service_of(lab, write_config(directory), inside) as service,
    ):
        [line] = [line for line in service.log().splitlines() if ".lock" in line]
        assert "install -d -m 700 -o USER /run/xdpkit" in line
        again = (*inside, *holding(set(NEEDED), *NOBODY), XDPKIT, "run", "-c", str(service.path))
        done = lab.server.run(*again)
        assert done.returncode == 1 and "another xdpkit serves server0 (pid" in done.stderr
        assert look_up(lab.client) == [WWW]


NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
# Root of a user namespace that maps all users to themselves, as the first one does.
FULL_MAP = (
    "import ctypes, os, sys\n"
    "libc = ctypes.CDLL(None)\n"
    "ready, go = os.pipe(), os.pipe()\n"
    "child = os.fork()\n"
    "if child == 0:\n"
    "    libc.unshare(0x10000000)\n"
    "    os.write(ready[1], b'1'); os.read(go[0], 1)\n"
    "    os.execv(sys.argv[1], sys.argv[1:])\n"
    "os.read(ready[0], 1)\n"
    "for name in ('uid_map', 'gid_map'):\n"
    "    open(f'/proc/{child}/{name}', 'w').write('0 0 4294967295')\n"
    "os.write(go[1], b'1')\n"
    "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
)


@pytest.mark.parametrize(
    "before",
    [
        NO_RIGHTS,
        ("unshare", "--user", "--map-root-user"),
        ("unshare", "--user", "--map-root-user", "unshare", "--user", "--map-root-user"),
        (sys.executable, "-I", "-c", FULL_MAP),
        ("unshare", "--user"),
    ],
    ids=["no capabilities", "a user namespace", "nested", "with all users", "without users"],
)
def test_user_0_that_is_not_root(lab: Lab, tmp_path: Path, before: tuple[str, ...]) -> None:
    with serving(lab, tmp_path) as server:
        done = lab.server.run(*before, XDPKIT, "reload", "server0")
        assert done.returncode == 1, done.stdout
        if before != ("unshare", "--user"):
            assert "reload is for root (with CAP_NET_ADMIN)" in done.stderr, done.stderr
            # What everybody may ask is answered.
            assert lab.server.run(*before, XDPKIT, "status", "server0").returncode == 0
        other = lab.server.run(*before, XDPKIT, "run", "--takeover", "-c", str(server.path))
        assert other.returncode == 1
        assert lab.server.run(XDPKIT, "reload", "server0").returncode == 0
        assert server.status()["pid"] == server.process.pid


def test_a_mapped_user_is_that_user(lab: Lab) -> None:
    """Root of a user namespace made by somebody else: SO_PEERCRED says who that is."""
    with private_run(lab, None) as inside, open_directory(lab.server) as directory:
        path = write_config(directory)
        server = Started(lab.server, path, before=inside)
        try:
            eventually(lambda: "stop with SIGTERM" in server.log(), "the start", STARTING)
            own = ("setpriv", *NOBODY, "unshare", "--user", "--map-root-user", XDPKIT)
            done = run(lab, inside, *own, "reload", "server0")
            assert done.returncode == 1, done.stdout
            assert server.stop() == 0
        finally:
            server.kill()


def test_a_link_in_the_place_of_the_directory(lab: Lab, tmp_path: Path) -> None:
    with private_run(lab, None) as inside:
        path = write_config(tmp_path)
        link = run(lab, inside, "ln", "-s", str(tmp_path), "/run/xdpkit")
        assert link.returncode == 0
        done = run(lab, inside, XDPKIT, "run", "-c", str(path))
        assert done.returncode == 1
        [line] = done.stderr.splitlines()
        assert line == "xdpkit: server0: no lock: /run/xdpkit: not a directory: remove it"


def test_root_writes_no_file_for_the_user(lab: Lab, tmp_path: Path) -> None:
    """``ExecStopPost=+xdpkit restore`` with a journal that the user of the unit forged."""
    target = tmp_path / "target"
    target.write_text("as it was\n")
    with lab.server.entered():
        name = journal.path_of(socket.if_nametoindex("server0")).name
        address = Device("server0").identity()["address"]
    head = {
        "version": 1,
        "interface": "server0",
        "ifindex": lab.server.interface().index,
        "address": address,
        "boot": journal.boot_id(),
        "pid": 1 << 22,
        "started": 1,
    }
    changes = {
        str(target): ("root's\n", "as it was\n"),
        f"feature ../{target}": (True, False),
        "interrupt 0": ({"cpus": "0\n", "irq": 1}, {"cpus": "1", "irq": 1}),
    }
    with private_run(lab, USER) as inside:
        forger = ("setpriv", *NOBODY, "tee", f"/run/xdpkit/{name}")
        for setting, (old, new) in changes.items():
            change = {"step": 0, "setting": setting, "old": old, "new": new}
            text = "".join(f"{json.dumps(line)}\n" for line in (head, change))
            done = subprocess.run(
                lab.server.command(*inside, *forger), input=text.encode(), check=False
            )
            assert done.returncode == 0
            # tee writes with the mode of its umask.
            run(lab, inside, "chmod", "600", f"/run/xdpkit/{name}")
            for argv in (["restore"], ["restore", "server0"]):
                restored = run(lab, inside, XDPKIT, *argv)
                assert restored.returncode == 1, restored.stdout
                [line] = restored.stderr.splitlines()
                assert line.startswith(f"xdpkit: /run/xdpkit/{name}:2: not a line of a journal")
        # A name that is not an interface's, and a FIFO, do not keep it waiting.
        fifo = ("setpriv", *NOBODY, "sh", "-c")
        number = name.split("@")[1]
        run(lab, inside, *fifo, f"rm /run/xdpkit/{name}; mkfifo /run/xdpkit/{name}")
        run(lab, inside, *fifo, f"mkfifo '/run/xdpkit/$(id)@{number}'")
        restored = run(lab, inside, XDPKIT, "restore")
        assert restored.returncode == 1
        assert all(": not a regular file: remove it" in e for e in restored.stderr.splitlines())
    assert target.read_text() == "as it was\n"
