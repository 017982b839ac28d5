"""How other programs are started by one that runs as root: nothing around it has a say in them.

Not the working directory, which anybody may be able to write, nor variables that make Python, the
dynamic linker or the compiler load something: PYTHONPATH, LD_PRELOAD, CPATH.

Another interpreter finds the modules that this one does. ``keep_modules`` keeps them within reach
of both without the right to go there: a checkout may be in a home of mode 0700 (reach.py).
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

from xdpkit.reach import keep, kept, reach

# Where programs are found, and how they write; bcc and the compiler make temporary files.
_KEPT = ("PATH", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "HOME", "USER", "LOGNAME")

# What decides about the code that a program runs: ld.so(8), python(1), gcc(1), gconv in iconv(1).
_LOADING = ("PYTHON", "LD_", "GCONV_PATH", "CPATH", "C_INCLUDE_PATH", "BCC_")

# Without site: the directories are given, and none is looked for.
_FLAGS = ("-I", "-S")
_START = "import json, sys; sys.path += json.loads(sys.argv.pop(1))\n"
_RUN = """import runpy
from xdpkit.reach import keep_inherited
keep_inherited(json.loads(sys.argv.pop(1)))
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)"""

_interpreter: str = getattr(sys, "_base_executable", sys.executable)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module in another interpreter, isolated; it needs ``options``."""
    return [*python_code(_RUN), json.dumps(kept()), module, *arguments]


def python_code(code: str) -> list[str]:
    """The same for statements."""
    return [_interpreter, *_FLAGS, "-c", _START + code, json.dumps(_modules())]


def options(*descriptors: int, **variables: str) -> dict[str, Any]:
    """For subprocess: the environment of a child as above, and the descriptors that it inherits."""
    return {"env": environment(**variables), "pass_fds": (*descriptors, *kept().values())}


def keep_modules() -> None:
    """Keeps what is imported later, here and in children, within reach of less privileged ones."""
    for path in _modules():
        keep(Path(path))
    if kept():
        sys.path[:] = map(reach, sys.path)
        for module in list(sys.modules.values()):
            if isinstance(places := getattr(module, "__path__", None), list):
                places[:] = map(reach, places)


def _modules() -> list[str]:
    """Where modules are found, besides the interpreter's own; in a zip file none of ours is."""
    own = os.path.dirname(os.__file__)  # noqa: PTH120
    left_out = {own, f"{own}/lib-dynload"}
    if not sys.flags.safe_path:
        # python(1) put the script's directory or the current one before those that are configured.
        left_out |= {os.path.dirname(os.path.realpath(sys.argv[0] or ".")), _current()}  # noqa: PTH120
    return [path for path in dict.fromkeys(sys.path) if path not in left_out and _is_safe(path)]


def _current() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except FileNotFoundError:
        return ""


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: of ours, only what is harmless; and ``more``."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name[:3] == "LC_"}
    return kept | {"PATH": _safe_path()} | more


def clean_environment() -> None:
    """Takes away from this process what would decide about the code of programs that it starts."""
    for name in [name for name in os.environ if name.startswith(_LOADING)]:
        del os.environ[name]
    os.environ["PATH"] = _safe_path()


def _safe_path() -> str:
    """PATH without the directories that everybody can write, and those relative to the current."""
    found = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(filter(_is_safe, found)) or os.defpath


def _is_safe(directory: str) -> bool:
    if not directory.startswith("/"):
        return False
    try:
        found = os.stat(directory)  # noqa: PTH116
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and not found.st_mode & stat.S_IWOTH
