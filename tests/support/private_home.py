"""A home of mode 0700 with an installation in it, as provision.sh makes it in a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Nobody's: no account is needed to own files.
OWNER = 54321


@contextmanager
def private_home() -> Iterator[Path]:
    """The home; ``.venv`` in its ``checkout`` is a copy of the one that the tests run in."""
    with tempfile.TemporaryDirectory(prefix="xdpkit-home-") as name:
        home = Path(name)
        venv = home / "checkout" / ".venv"
        base = getattr(sys, "_base_executable", sys.executable)
        command = [base, "-m", "venv", "--system-site-packages", "--without-pip", str(venv)]
        subprocess.run(command, check=True)
        packages = Path(sysconfig.get_path("purelib"))
        shutil.copytree(packages, venv / packages.relative_to(sys.prefix), dirs_exist_ok=True)
        script = Path(sys.executable).with_name("xdpkit").read_text().split("\n", 1)[1]
        program = venv / "bin" / "xdpkit"
        program.write_text(f"#!{venv}/bin/python\n{script}")
        program.chmod(0o755)
        give(home)
        home.chmod(0o700)
        yield home


def give(path: Path) -> None:
    """Makes everything below a path the owner's."""
    for directory, _, files in os.walk(path):
        for each in (directory, *(os.path.join(directory, file) for file in files)):  # noqa: PTH118
            os.chown(each, OWNER, OWNER, follow_symlinks=False)
