"""The Debian package, and a bare Debian to test it in: both are made while other tests run."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from checkout import CHECKOUT
from debian_root import DebianRoot, Started


@dataclass(frozen=True)
class Making:
    """Both in progress, each in a process of its own."""

    debian: DebianRoot
    _build: Started

    def package(self) -> Path:
        """Waits for the build; returns the path of the package."""
        return Path(self._build.wait().splitlines()[-1])


def dependencies() -> list[str]:
    """Packages that the control file names; the build adds the rest."""
    text = (CHECKOUT / "packaging/debian/control").read_text()
    depends = re.search(r"^Depends:(.*\n(?: .*\n)*)", text, re.MULTILINE)
    assert depends
    return re.findall(r"^ *([a-z][a-z0-9.+-]+)", depends[1], re.MULTILINE)


@contextmanager
def making(directory: Path) -> Iterator[Making]:
    """Starts both; ``directory`` is for the build and the logs.

    The bare Debian is not in /tmp, which may be mounted nodev.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    work = directory / "work"
    command = [str(CHECKOUT / "packaging/debian/build.sh"), sys.executable, str(work)]
    with tempfile.TemporaryDirectory(prefix="xdpkit-debian-", dir="/var/tmp") as root:
        packages = ["systemd", *dependencies()]
        debian = DebianRoot(Path(root, "root"), directory / "debootstrap.log", packages)
        build = Started(command, directory / "build.log", environment)
        try:
            yield Making(debian, build)
        finally:
            build.abandon()
            debian.abandon()
            shutil.rmtree(work, ignore_errors=True)
