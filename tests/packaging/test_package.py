"""The Debian package: built, installed in a bare Debian, run there, and removed without a trace.

For this machine's release; for another, such as 13: vagrant/in-root.sh trixie test -m package
"""

from __future__ import annotations

import faulthandler
import json
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dns.message
import dns.query
import pytest
from debian_root import DebianRoot
from package_making import CHECKOUT, Making

from xdpkit import __version__
from xdpkit.control.client import request
from xdpkit.errors import ControlError
from xdpkit.lab.namespaces import Lab

# The first of these tests waits for the build and the bare Debian, if the tests before it did not
# give them enough time: a minute or two, and more on a busy machine.
pytestmark = [pytest.mark.netns, pytest.mark.package, pytest.mark.timeout(900)]

SAMPLE = "etc/xdpkit/xdpkit.toml"
QUEUE = 2
PATIENCE = 30.0

Tool = Callable[[str], str]
Files = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def package(tool: Tool, package_making: Making) -> Path:
    """The package, built from this checkout."""
    tool("dpkg-buildpackage")
    # Waiting for the build is not a hang: pytest-timeout's limit above still applies.
    faulthandler.cancel_dump_traceback_later()
    return package_making.package()


@pytest.fixture(scope="module")
def debian(tool: Tool, package_making: Making, package: Path) -> DebianRoot:
    """The bare Debian with what the package depends on, but without the package."""
    tool("debootstrap")
    debian = package_making.debian
    debian.wait()
    debian.run("apt-get", "update", "-q")
    install = ("apt-get", "satisfy", "-q", "-y", "--no-install-recommends")
    debian.run(*install, field(package, "Depends"))
    shutil.copy(package, debian.path / "tmp/xdpkit.deb")
    return debian


@pytest.fixture(scope="module")
def before(debian: DebianRoot) -> Files:
    """Installs the package; returns the files from before that."""
    files = debian.files()
    debian.run("dpkg", "-i", "/tmp/xdpkit.deb")
    return files


def field(package: Path, name: str) -> str:
    return subprocess.check_output(["dpkg-deb", "-f", package, name], text=True).strip()


def set_up(debian: DebianRoot, interface: str) -> None:
    """Does what the operator has to: names the interface, and here another queue."""
    sample = debian.path / SAMPLE
    text, names = re.subn(r"(?m)^#?name = .*", f'name = "{interface}"', sample.read_text())
    text, queues = re.subn(r"(?m)^queues = .*", f"queues = [{QUEUE}]", text)
    assert (names, queues) == (1, 1)
    sample.write_text(text)


def test_name_and_dependencies(package: Path) -> None:
    assert package == CHECKOUT / f"dist/xdpkit_{__version__}_amd64.deb"
    depends = set(re.split(r", *", field(package, "Depends")))
    major, minor = sys.version_info[:2]
    assert {f"python3 (>= {major}.{minor}~)", f"python3 (<< {major}.{minor + 1})"} <= depends
    assert {"python3-bpfcc", "linux-libc-dev"} <= depends
    # What the extension modules are linked to, found by the build.
    assert {"libc6", "libssl3"} <= {re.sub(r"(t64)? .*", "", each) for each in depends}


def test_lintian(tool: Tool, package: Path) -> None:
    command = [tool("lintian"), "--allow-root", "--fail-on", "error,warning", package]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_installing_starts_and_enables_nothing(debian: DebianRoot, before: Files) -> None:
    added = debian.files().keys() - before.keys()
    assert {SAMPLE, "usr/bin/xdpkit", "usr/lib/systemd/system/xdpkit.service"} <= added
    assert [path for path in added if ".wants/" in path] == []
    assert debian.run("systemctl", "is-enabled", "xdpkit.service", status=1) == "disabled\n"


def test_unit_is_valid(debian: DebianRoot, before: Files) -> None:
    output = debian.run("systemd-analyze", "verify", "--man=no", "xdpkit.service")
    # What the verifier leaves behind.
    (debian.path / "run/systemd/systemd-units-load").unlink(missing_ok=True)
    assert output == ""


def test_manuals_are_where_man_looks(debian: DebianRoot, before: Files) -> None:
    added = debian.files().keys() - before.keys()
    assert {f"usr/share/man/man{page}.gz" for page in ("8/xdpkit.8", "5/xdpkit.toml.5")} <= added


def test_sample_lacks_only_the_name(debian: DebianRoot, before: Files) -> None:
    assert "[interface] needs name" in debian.run("xdpkit", "check", status=2)
    set_up(debian, "server0")
    assert "/etc/xdpkit/xdpkit.toml: can be served" in debian.run("xdpkit", "check")


def test_own_libraries_are_used(debian: DebianRoot, before: Files) -> None:
    """Debian's would be too old, and nothing in the caller's directory must be run."""
    trap = debian.path / "root/anyio.py"
    trap.write_text("raise SystemExit('imported from the working directory')\n")
    output = debian.run("sh", "-c", "cd && xdpkit query www.example A")
    trap.unlink()
    assert "www.example. 3600 IN A 192.0.2.80" in output


def test_answers_from_the_ring(debian: DebianRoot, before: Files, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Lab() as lab:
        set_up(debian, lab.server.ifname)
        with log.open("w") as output:
            server = lab.server.popen(*debian.command("xdpkit", "run"), stderr=output)
        lab.client.send_on_queue(QUEUE, lab.queues)
        await_server(lab, server, log)
        with lab.client.entered():
            question = dns.message.make_query("www.example", "A")
            answer = dns.query.udp(question, lab.server.ipv4, PATIENCE)
            stratum = ask_time(lab.server.ipv4)
        assert answer.answer[0].to_text() == "www.example. 3600 IN A 192.0.2.80"
        assert stratum == 10
        # The package's own command, run inside, reports what was answered and where.
        facts = json.loads(lab.server.run(*debian.command("xdpkit", "status", "--json")).stdout)
        assert sum(facts["queues"][str(QUEUE)]["answered"].values()) == 2
        assert facts["slow_path"]["udp"]["rx"] == 0
        server.terminate()
        assert server.wait(PATIENCE) == 0, log.read_text()
        assert lab.server.interface().xdp_program is None


def test_upgrade_restarts_only_a_running_service(debian: DebianRoot, before: Files) -> None:
    with debian.systemctl_calls() as calls:
        debian.run("dpkg", "-i", "/tmp/xdpkit.deb")
    of_unit = [line for line in calls if "xdpkit.service" in line]
    assert of_unit and all("try-restart" in line or "is-" in line for line in of_unit), of_unit


def test_removing_stops_and_keeps_the_configuration(debian: DebianRoot, before: Files) -> None:
    set_up(debian, "server0")
    with debian.systemctl_calls() as calls:
        debian.run("dpkg", "--remove", "xdpkit")
    assert any("stop xdpkit.service" in line for line in calls), calls
    left = debian.files().keys() - before.keys()
    assert {SAMPLE, "etc/xdpkit/zones/example.zone"} <= left
    assert [path for path in left if path.startswith("usr/")] == []
    debian.run("dpkg", "-i", "/tmp/xdpkit.deb")
    assert 'name = "server0"' in (debian.path / SAMPLE).read_text()


def test_purging_leaves_nothing(debian: DebianRoot, before: Files) -> None:
    """Except for what the operator made."""
    for directory in ("run/xdpkit", "var/cache/xdpkit", "var/lib/xdpkit"):
        (debian.path / directory).mkdir(exist_ok=True)
        (debian.path / directory / "state").write_text("left by a run\n")
    own = "etc/xdpkit/zones/own.example.zone"
    (debian.path / own).write_text("; the operator's\n")
    debian.run("dpkg", "--purge", "xdpkit")
    left = debian.files().keys() - before.keys()
    assert left == {"etc/xdpkit", "etc/xdpkit/zones", own}
    shutil.rmtree(debian.path / "etc/xdpkit")
    assert debian.files() == before


def await_server(lab: Lab, server: subprocess.Popen[str], log: Path) -> None:
    """Returns when the server responds on its control socket."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with lab.server.entered():
                request(lab.server.ifname, "status")
            return
        except ControlError:
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def ask_time(address: str) -> int:
    """The stratum in an NTP reply."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.sendto(b"\x23" + bytes(47), (address, 123))
        reply, _ = sock.recvfrom(512)
    return reply[1]
