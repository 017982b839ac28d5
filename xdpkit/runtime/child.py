"""How other programs are started by one that runs as root: nothing around it has a say in them.

Not the working directory, which anybody may be able to write, nor variables that make Python, the
dynamic linker or the compiler load something: PYTHONPATH, LD_PRELOAD, CPATH.
"""

from __future__ import annotations

import os
import stat
import sys

# Where programs are found, and how they write; bcc and the compiler make temporary files.
KEPT = ("PATH", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "HOME", "USER", "LOGNAME")


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours in another interpreter, isolated from its user."""
    return [sys.executable, "-I", "-m", module, *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: of ours, only what is harmless; and ``more``."""
    ours = {name: value for name, value in os.environ.items() if name in KEPT or name[:3] == "LC_"}
    return ours | {"PATH": safe_path()} | more


def safe_path() -> str:
    """PATH without the directories that everybody can write, and those relative to the current."""
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(filter(_is_safe, found)) or os.defpath


def _is_safe(directory: str) -> bool:
    if not directory.startswith("/"):
        return False
    try:
        return not os.stat(directory).st_mode & stat.S_IWOTH  # noqa: PTH116
    except OSError:
        return False
