"""The tests' C programs, built by meson against the library that the modules are linked to.

Builds stay in .cache, so that the next run compiles only what has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from checkout import CHECKOUT

# Warnings are errors here, but not in a user's build.
OPTIONS = ["-Dtests=true", "-Dwerror=true", "-Db_ndebug=false"]
SANITIZED = ["--native-file", "tools/sanitizers.ini"]
FUZZ = [*SANITIZED, "-Dfuzz=true"]


def programs(*names: str) -> list[Path]:
    """Programs from tests/meson.build, built as a user's compiler would."""
    return _built("plain", [], names)


def sanitized(*names: str) -> list[Path]:
    """The same under ASAN and UBSAN."""
    return _built("sanitized", SANITIZED, names)


def fuzz_targets(*names: str) -> list[Path]:
    """libFuzzer targets, built by clang, under ASAN and UBSAN."""
    return _built("fuzz", FUZZ, names, CC="clang")


def _built(kind: str, options: list[str], names: tuple[str, ...], **environment: str) -> list[Path]:
    # Under .cache/build, which provision.sh empties when the checkout or its Python has changed.
    directory = CHECKOUT / ".cache/build" / f"tests-{kind}"
    if not (directory / "build.ninja").exists():
        _run(["meson", "setup", str(directory), *OPTIONS, *options], environment)
    targets = [f"tests/{name}" for name in names]
    _run(["ninja", "-C", str(directory), *targets], environment)
    return [directory / target for target in targets]


def _run(command: list[str], environment: dict[str, str]) -> None:
    """Runs a tool from the virtual environment; its output is the failure message."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    done = subprocess.run(
        command,
        check=False,
        cwd=CHECKOUT,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
