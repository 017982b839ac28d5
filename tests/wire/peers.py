"""Third-party programs: where the tests find them and how they run them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkout import CHECKOUT
from required import missing
from serving import PATIENCE, eventually

from xdpkit.lab.namespaces import Side

# vagrant/provision.sh unpacks them there: if installed, chronyd would start a service.
PEERS = CHECKOUT / ".cache/peers"


def peer(package: str, program: str) -> str:
    """The path of a third-party program; if missing, CI fails and others skip."""
    unpacked = PEERS / package / "usr" / program
    found = shutil.which(unpacked.name) or (str(unpacked) if unpacked.exists() else None)
    if found is None:
        missing(f"no {unpacked.name}: vagrant/provision.sh test unpacks it")
    return found


def ntpdig_command(*arguments: str) -> list[str]:
    """NTPsec's SNTP client, with the path of its Python modules unless it is installed."""
    modules = PEERS / "ntpsec-ntpdig/usr/lib/python3/dist-packages"
    program = peer("ntpsec-ntpdig", "bin/ntpdig")
    return ["env", f"PYTHONPATH={modules}", "PYTHONDONTWRITEBYTECODE=1", program, *arguments]


def dnsperf(side: Side, questions: Path, *options: str) -> dict[str, int]:
    """One run of DNS-OARC's load generator: queries sent, completed and lost.

    Raises AssertionError for an unexpected reply: a wrong ID, a truncated answer, a closed
    connection.
    """
    found = shutil.which("dnsperf")
    if found is None:
        missing("no dnsperf: vagrant/provision.sh test installs it")
    done = side.run(found, "-d", str(questions), *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    return {
        name: int(number)
        for name, number in re.findall(r"Queries (sent|completed|lost): +([0-9]+)", done.stdout)
    }


def chronyd_command(directory: Path, *directives: str, options: tuple[str, ...] = ()) -> list[str]:
    """chronyd in the foreground that does not touch the clock, with no file but a PID file here."""
    confined = (f"pidfile {directory}/chronyd.pid", "cmdport 0", "bindcmdaddress /")
    return [peer("chrony", "sbin/chronyd"), "-x", "-u", "root", *options, *confined, *directives]


def measured_offset(side: Side, directory: Path, *directives: str, limit: int = 20) -> float | None:
    """One ``chronyd -Q``: the offset it measured, in seconds, or None when it heard nothing."""
    options = ("-Q", "-t", str(limit))
    done = side.run(*chronyd_command(directory, *directives, options=options))
    found = re.search(r"System clock wrong by (-?[0-9.]+) seconds", done.stderr)
    assert (done.returncode == 0) == (found is not None), done.stderr
    return float(found[1]) if found else None


# systemd-timesyncd with its own files and directories, and without the right to set a clock.
TIMESYNCD = Path("/lib/systemd/systemd-timesyncd")
CONFINED = """
set -e
for directory in /etc/systemd /run/systemd /var/lib/systemd; do
    mount -t tmpfs tmpfs $directory
done
mkdir -m 777 /run/systemd/timesync /var/lib/systemd/timesync
printf '[Time]\\nNTP=%s\\n' "$1" >/etc/systemd/timesyncd.conf
export SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all \\
    --bounding-set=-all "$0"
"""


@contextmanager
def timesyncd(side: Side, directory: Path, address: str) -> Iterator[Path]:
    """systemd-timesyncd with one server, during a block; gives the path of its log.

    It accepts or rejects an answer and then tries to slew the clock, which fails: it has no
    capabilities, and runs in its own mount namespace.
    """
    log = directory / "timesyncd.log"
    command = ("unshare", "--mount", "sh", "-c", CONFINED, str(TIMESYNCD), address)
    with log.open("w") as output:
        process = side.popen(*command, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        process.wait(PATIENCE)


@contextmanager
def chronyd_server(
    side: Side, directory: Path, *directives: str
) -> Iterator[subprocess.Popen[str]]:
    """A chronyd that serves its clock, by default at stratum 8 on port 123."""
    directives = directives or ("local stratum 8", "port 123")
    command = chronyd_command(directory, "allow", *directives, options=("-d",))
    log = directory / "chronyd.log"
    with log.open("w") as output:
        process = side.popen(*command, stdout=output, stderr=output)
    try:
        # It logs this line after the sockets are bound.
        eventually(
            lambda: process.poll() is not None or "Disabled control" in log.read_text(), "chronyd"
        )
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)
