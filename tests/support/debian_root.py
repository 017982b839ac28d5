"""A bare Debian in a directory, to install the package into."""

from __future__ import annotations

import os
import platform
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# No questions are asked; nothing is synced to disk, which is where dpkg spends most of its time.
ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "DPKG_FORCE": "unsafe-io",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin",
    # The caller's, but no others: PYTHONDONTWRITEBYTECODE, say, would change what is tested.
    **{name: os.environ[name] for name in ("http_proxy", "no_proxy") if name in os.environ},
}

# In a mount namespace of its own, so that no mount is left behind; each step replaces the process,
# so that a signal reaches the program.
ENTER = """
mount -t proc proc "$0/proc"
mount -t sysfs sysfs "$0/sys"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""

# What dpkg and apt always write, whatever they do.
RECORDS = ("var/lib/dpkg/", "var/log/", "var/lib/apt/", "var/cache/apt/")


class Started:
    """A program in the background; ``wait`` for it, or ``abandon`` it."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self._log = log
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def wait(self) -> str:
        """Waits until it has succeeded; returns its output."""
        status, output = self._process.wait(), self._log.read_text()
        assert status == 0, output[-8000:]
        return output

    def abandon(self) -> None:
        """Kills it if it is still running."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


class DebianRoot:
    """This machine's release as debootstrap makes it: the minimum, and these packages.

    The constructor only starts debootstrap: ``wait`` before anything else.
    """

    def __init__(self, path: Path, log: Path, packages: list[str]) -> None:
        self.path = path
        release = platform.freedesktop_os_release()["VERSION_CODENAME"]
        command = ["unshare", "--mount", "debootstrap", "--variant=minbase"]
        command += [f"--include={','.join(packages)}", release, str(path)]
        self._making = Started(command, log, ENVIRONMENT)
        self.abandon = self._making.abandon

    def wait(self) -> None:
        """Returns when the system is complete."""
        self._making.wait()

    def command(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` inside."""
        environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        shell = ["unshare", "--mount", "env", "-i", *environment, "sh", "-ec", ENTER]
        return [*shell, str(self.path), *argv]

    def run(self, *argv: str, status: int = 0) -> str:
        """Runs a program inside to completion; returns its output."""
        done = subprocess.run(
            self.command(*argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, f"{argv}: {done.returncode}\n{done.stdout[-4000:]}"
        return done.stdout

    @contextmanager
    def systemctl_calls(self) -> Iterator[list[str]]:
        """Records how maintainer scripts call systemctl: systemd cannot run here."""
        program, log = self.path / "usr/local/sbin/systemctl", self.path / "tmp/systemctl.log"
        program.write_text('#!/bin/sh\necho "$@" >>/tmp/systemctl.log\n')
        program.chmod(0o755)
        running = self.path / "run/systemd/system"
        running.mkdir(parents=True)
        calls: list[str] = []
        try:
            yield calls
            calls += log.read_text().splitlines()
        finally:
            program.unlink()
            running.rmdir()
            log.unlink(missing_ok=True)

    def files(self) -> dict[str, tuple[int, ...]]:
        """Every path except RECORDS: its mode and, for a file, its size and mtime."""
        found: dict[str, tuple[int, ...]] = {}
        for directory, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = Path(directory, name)
                inside = str(path.relative_to(self.path))
                if inside.startswith(RECORDS):
                    continue
                facts = path.lstat()
                regular = stat.S_ISREG(facts.st_mode)
                content = (facts.st_size, facts.st_mtime_ns) if regular else ()
                found[inside] = (facts.st_mode, *content)
        return found
