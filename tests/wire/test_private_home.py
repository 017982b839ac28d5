"""Root runs what is in a home of mode 0700, which it may not enter without special rights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from private_home import OWNER, give, private_home
from serving import CONFIG, IFNAME, WWW, ZONE, Server, eventually, look_up, write_config

from xdpkit.lab.namespaces import Lab

pytestmark = pytest.mark.netns

KEYS = CONFIG.replace("[ntp]", '[ntp]\nkeys = "ntp.keys"')
METRICS = '[metrics]\nlisten = "127.0.0.1:9153"\n'


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


def program(home: Path) -> str:
    return str(home / "checkout/.venv/bin/xdpkit")


def written(home: Path, name: str, config: str = KEYS) -> Path:
    """A configuration in the home; its owner is the home's."""
    directory = home / name
    directory.mkdir()
    (directory / "ntp.keys").write_text("1 a-secret-without-blanks\n")
    path = write_config(directory, config + METRICS)
    give(directory)
    return path


def test_everything_works(lab: Lab, home: Path) -> None:
    path = written(home, "all")
    checked = lab.server.run(program(home), "check", "-c", str(path))
    assert checked.returncode == 0, checked.stderr
    server = Server(lab.server, path, IFNAME, program=(program(home), "run"))
    try:
        assert look_up(lab.client) == [WWW]
        # What is changed later is found, too: zones, included files, the configuration.
        zones = path.parent / "zones"
        (zones / "part").write_text("more A 192.0.2.9\n")
        text = ZONE.replace("hostmaster 1 ", "hostmaster 2 ") + "$INCLUDE part\n"
        (zones / "example.zone").write_text(text)
        eventually(lambda: server.status()["zones"]["example"]["serial"] == 2, "the zones")
        path.write_text(path.read_text().replace("[dns]\n", "[dns]\nmax_udp = 600\n"))
        done = lab.server.run(program(home), "reload")
        assert done.returncode == 0, done.stderr
        found = lab.server.run("curl", "-s", "http://127.0.0.1:9153/metrics")
        assert found.returncode or "xdpkit_" in found.stdout
        assert server.stop() == 0, server.log()
        assert "Traceback" not in server.log()
    finally:
        server.kill()


@pytest.mark.parametrize("name", ["zones/example.zone", "ntp.keys", "zones"])
def test_what_only_its_owner_may_read(lab: Lab, home: Path, name: str) -> None:
    """``check`` and ``run`` say the same, with the command that changes it, which is enough."""
    path = written(home, f"private-{name.replace('/', '-')}")
    blocked = path.parent / name
    blocked.chmod(0o700 if blocked.is_dir() else 0o600)
    checked = lab.server.run(program(home), "check", "-c", str(path))
    assert checked.returncode == 2, checked
    line = checked.stderr.splitlines()[-1]
    if name == "zones/example.zone":
        # It is only that zone's fault.
        server = Server(lab.server, path, program=(program(home), "run"))
        assert server.stop() == 0
        log = server.log()
        assert f"{line}; example is answered with SERVFAIL" in log
    else:
        done = lab.server.run(program(home), "run", "-c", str(path))
        log = done.stderr
        assert done.returncode == 2 and log.splitlines()[-1] == line
    assert f"{blocked}" in line and "Traceback" not in log
    command = line.rpartition(": ")[2]
    # Nobody else is let in where there are secrets.
    assert command.startswith("chown 0" if name == "ntp.keys" else "chmod o+")
    assert command.endswith(str(blocked))
    if lab.server.run(*command.split()).returncode == 0 and blocked.is_dir():
        # The next obstacle is named by the next one.
        lab.server.run("chmod", "o+rx", str(blocked))
    checked = lab.server.run(program(home), "check", "-c", str(path))
    assert checked.returncode == 0, checked.stderr


def test_a_configuration_that_a_reload_cannot_read(lab: Lab, home: Path) -> None:
    """It is directly in the home: that is said at the start, with the command."""
    path = home / "xdpkit.toml"
    path.write_text('[interface]\nname = "server0"\nqueues = [2]\n[echo]\n')
    server = Server(lab.server, path, IFNAME, program=(program(home), "run"))
    try:
        fix = f"may not pass {home}: chmod o+x {home}"
        assert f"{fix}; every reload will fail" in server.log()
        done = lab.server.run(program(home), "reload")
        assert done.returncode and done.stderr.endswith(f"{fix}\n")
        assert server.stop() == 0, server.log()
    finally:
        server.kill()


def test_an_installation_that_only_its_owner_may_read(lab: Lab, home: Path) -> None:
    """As with a umask of 077: one line with the command, which is enough."""
    path = written(home, "unreadable")
    [package] = (home / "checkout").glob(".venv/lib/python3.*/site-packages/xdpkit")
    package.chmod(0o700)
    for verb in ("check", "run"):
        done = lab.server.run(program(home), verb, "-c", str(path))
        [line] = done.stderr.splitlines()
        assert done.returncode == 1 and "root without special rights" in line
    command = line.rpartition(": ")[2]
    assert command == f"chmod -R o+rX {package}"
    assert lab.server.run(*command.split()).returncode == 0
    assert lab.server.run(program(home), "check", "-c", str(path)).returncode == 0


def test_the_demo(lab: Lab, home: Path) -> None:
    done = lab.server.run(program(home), "demo", timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_its_owner_may_not_run_it_without_root(lab: Lab, home: Path) -> None:
    """One line, and no traceback."""
    user = ("setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups", program(home))
    done = lab.server.run(*user, "demo")
    [line] = done.stderr.splitlines()
    assert done.returncode == 1 and "run as root (sudo)" in line
