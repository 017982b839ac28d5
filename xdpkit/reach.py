"""Files that this process may not go to once root has given up its special rights.

Without CAP_DAC_OVERRIDE, root is one of the others to a home of mode 0700, and all below it. What
was opened before stays within reach: of a directory that will be blocked, ``keep`` opens the first
one below that is not, and ``reach`` gives paths through that descriptor (proc_pid_fd(5)). All that
is further down is looked up anew each time, and with the rights of then.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_kept: dict[Path, int] = {}


def blocked_at(path: Path) -> Path | None:
    """The last directory on the way to this one that its user has no right to pass, or None.

    Without special rights: by owner, groups and mode alone.
    """
    return next(
        (above for above in (path, *path.parents) if not _allows(os.stat(above), 0o1)),  # noqa: PTH116
        None,
    )


def _allows(found: os.stat_result, bits: int) -> bool:
    """Whether owner, groups and mode allow this process's user all of these (4: read, 1: pass)."""
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid == os.geteuid():
        mode >>= 6
    elif found.st_gid in (os.getegid(), *os.getgroups()):
        mode >>= 3
    return mode & bits == bits


def keep(directory: Path) -> None:
    """Keeps a directory within reach, with all below it, where that is possible.

    Raises OSError if it is not within reach now.
    """
    directory = Path(os.path.abspath(directory))  # noqa: PTH100
    blocked = blocked_at(directory)
    if blocked is None or blocked == directory:
        return
    first = blocked / directory.relative_to(blocked).parts[0]
    if first not in _kept:
        _kept[first] = os.open(first, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def out_of_reach(path: Path) -> Path | None:
    """The directory on the way to this one that will be closed, although all was kept, or None."""
    blocked = blocked_at(path)
    passed = any(
        blocked in first.parents and (first == path or first in path.parents) for first in _kept
    )
    return None if passed else blocked


def reach(path: Path | str) -> str:
    """The path by which this process gets there: unchanged, unless it is below what it keeps."""
    if _kept:
        whole = Path(os.path.abspath(path))  # noqa: PTH100
        for first, fd in _kept.items():
            if whole == first or first in whole.parents:
                return str(Path(f"/proc/self/fd/{fd}", whole.relative_to(first)))
    return str(path)


def kept() -> dict[str, int]:
    """What is kept, for a child that inherits the descriptors: ``keep_inherited``."""
    return {str(first): fd for first, fd in _kept.items()}


def keep_inherited(directories: dict[str, int]) -> None:
    """Takes over what the parent keeps."""
    _kept.update({Path(first): fd for first, fd in directories.items()})


def denied(path: Path | str, secret: bool = False) -> str:
    """Why this process may not read a file or directory, and the command that changes it.

    Where the file is ``secret``, that command does not let others read it.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100
    who = "root without special rights (as run is)" if os.geteuid() == 0 else "its user"
    kept = next((first for first in _kept if first == whole or first in whole.parents), None)
    ways = [each for each in reversed(whole.parents) if kept is None or each not in kept.parents]
    try:
        for each in ways:
            if not _allows(os.stat(reach(each)), 0o1):  # noqa: PTH116
                return f"{who} may not pass {each}: chmod o+x {each}"
        is_directory = stat.S_ISDIR(os.stat(reach(whole)).st_mode)  # noqa: PTH116
    except OSError as error:
        return str(error.strerror)
    if secret and not is_directory:
        return f"{who} may not read it: chown {os.geteuid()} {whole}"
    return f"{who} may not read it: chmod {'o+rx' if is_directory else 'o+r'} {whole}"
