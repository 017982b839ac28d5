"""How a file that somebody names is opened and read: as a regular file, bounded, never waiting.

A FIFO, a device or a directory in its place is refused before it is opened: none of them can hold
up a start or a reload, and no device notices. What can still wait is the file system itself, such
as NFS without its server: so these calls are for ``runtime/off_loop.py`` wherever an event loop
runs.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from xdpkit._core._file_facts import place_and_list
from xdpkit.reach import denied, reach

_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a symbolic link"),
)


class UnfitFileError(OSError):
    """A file that must not be read: ``strerror`` has the reason and the fix."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(errno.EINVAL, reason, str(path))

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class LargeFileError(UnfitFileError):
    """A file that is larger than it may be: ``size`` is what is known of it, in bytes."""

    def __init__(self, path: Path | str, size: int, most: int) -> None:
        super().__init__(path, f"it is larger than {most} bytes: name the right file")
        self.size = size


# Bytes to read at once of a file that has grown; a larger buffer is a mapping each (mallopt(3)).
_PIECE = 1 << 16

ACCESS_LIST = "system.posix_acl_access"


class Content(NamedTuple):
    """A file's bytes, and its status when it was open.

    ``place`` is its path without links, whatever the name leads to by now; ``acl`` is the extended
    attribute of that name, or empty.
    """

    data: bytes
    status: os.stat_result
    place: str = ""
    acl: bytes = b""


def open_regular(path: Path | str, *, follow: bool = True, secret: bool = False) -> int:
    """Opens a file for reading; the caller closes the descriptor. Raises OSError.

    Raises UnfitFileError for what is not a regular file. Without ``follow``, that includes a
    symbolic link: for files that only xdpkit itself makes. A ``secret`` file that we may not read
    is not to be made readable for everybody.
    """
    return _opened(path, follow, secret)[0]


def _opened(path: Path | str, follow: bool, secret: bool) -> tuple[int, os.stat_result]:
    """The same with the status of what is open."""
    there = reach(path)
    try:
        # Looked at first: opening a device may already do something.
        _check_kind(path, os.stat(there, follow_symlinks=follow))  # noqa: PTH116
        # Nonblocking: by now it may be a FIFO after all.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(there, flags | (0 if follow else os.O_NOFOLLOW))
    except PermissionError as error:
        raise UnfitFileError(path, denied(path, secret)) from error
    try:
        status = os.fstat(fd)
        _check_kind(path, status)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def read_regular(
    path: Path | str,
    most: int | None = None,
    *,
    follow: bool = True,
    secret: bool = False,
    before: Callable[[int], None] | None = None,
) -> Content:
    """A file's content, of at most ``most`` bytes; ``before`` is told its size before it is read.

    Raises OSError; UnfitFileError for what is not a regular file; LargeFileError for one that is
    larger, unread, and for one that grows beyond that while it is read.
    """
    fd, status = _opened(path, follow, secret)
    try:
        place, acl = place_and_list(fd, ACCESS_LIST)
        if most is not None and status.st_size > most:
            raise LargeFileError(path, status.st_size, most)
        if before is not None:
            before(status.st_size)
        data = _read(fd, status.st_size, most)
    finally:
        os.close(fd)
    if most is not None and len(data) > most:
        raise LargeFileError(path, len(data), most)
    # Without /proc, where its name leads by now.
    return Content(data, status, place or os.path.realpath(path), acl)


def _read(fd: int, size: int, most: int | None) -> bytes:
    """A file to its end, wherever that is by now, or one byte more than ``most``."""
    parts: list[bytes] = []
    length = 0
    while most is None or length <= most:
        room = size + 1 - length if length <= size else _PIECE
        part = os.read(fd, room if most is None else min(room, most + 1 - length))
        if not part:
            break
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def _check_kind(path: Path | str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for is_one, name in _KINDS if is_one(found.st_mode)), "special")
        raise UnfitFileError(path, f"it is {kind}, not a regular file: put a file in its place")


def check_owned(path: Path | str, found: os.stat_result) -> None:
    """Raises UnfitFileError for a file that anybody but this process's user could have written."""
    if found.st_uid != os.geteuid():
        reason = f"it belongs to user {found.st_uid}, and we are {os.geteuid()}: remove it"
        raise UnfitFileError(path, reason)
    if found.st_mode & 0o022:
        mode = stat.S_IMODE(found.st_mode)
        raise UnfitFileError(path, f"others can write to it (mode {mode:o}): chmod go-w {path}")
