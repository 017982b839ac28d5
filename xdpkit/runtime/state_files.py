"""Files below /run/xdpkit: opened so that whoever may write there cannot mislead the reader.

With ``User=`` in its unit an instance runs without root's rights, and the directory is its user's,
but ``xdpkit restore`` reads it as root. So nothing here is opened because of its name: no link is
followed, nothing waits (a FIFO), and a file counts only if it is a regular one with a single name
that belongs to root, to the directory's owner or to us, and that nobody else can write.
/run itself is root's: whoever owns the directory was given it by root.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from xdpkit.errors import StateError

STATE = Path("/run/xdpkit")

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class StateFile:
    """An open file, which the caller owns; ``writers`` are the users who may have written it."""

    fd: int
    writers: frozenset[int]


def open_state_file(path: Path, flags: int, most_bytes: int | None = None) -> StateFile:
    """Opens a file; where ``flags`` create it, with mode 0600, and for the directory's owner.

    Raises OSError if it cannot be opened, and StateError if it must not be believed or has more
    than ``most_bytes``.
    """
    with _opened_directory(path.parent) as (directory, owner):
        try:
            fd = os.open(path.name, flags | _FILE, 0o600, dir_fd=directory)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise StateError(f"{path}: not a regular file: remove it") from error
            raise
    try:
        found = os.fstat(fd)
        if reason := _objection(found, owner, most_bytes):
            raise StateError(f"{path}: {reason}")
        if flags & os.O_CREAT:
            _settle(fd, found, owner)
    except BaseException:
        os.close(fd)
        raise
    return StateFile(fd, frozenset({owner, found.st_uid}))


@contextmanager
def _opened_directory(path: Path) -> Iterator[tuple[int, int]]:
    """The directory's descriptor and owner."""
    try:
        directory = os.open(path, _DIRECTORY)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise StateError(f"{path}: not a directory: remove it") from error
        raise
    try:
        found = os.fstat(directory)
        if found.st_mode & _WRITABLE_BY_OTHERS:
            raise StateError(f"{path}: others may write there: chmod go-w {path}")
        yield directory, found.st_uid
    finally:
        os.close(directory)


def _objection(found: os.stat_result, owner: int, most_bytes: int | None) -> str:
    """Why a file of a directory with this owner is not believed; empty if it is."""
    if not stat.S_ISREG(found.st_mode):
        return "not a regular file: remove it"
    if found.st_nlink > 1:
        return "it has another name (a hard link): remove it"
    if found.st_uid not in {0, owner, os.geteuid()}:
        return f"it belongs to user {found.st_uid}, the directory to user {owner}: remove it"
    if found.st_mode & _WRITABLE_BY_OTHERS:
        return "others may write it: remove it"
    if most_bytes is not None and found.st_size > most_bytes:
        return f"it has {found.st_size:,} bytes, more than the {most_bytes:,} possible: remove it"
    return ""


def _settle(fd: int, found: os.stat_result, owner: int) -> None:
    """Whatever the umask, the owner can open it again; so can the user whom root works for."""
    with suppress(PermissionError):
        if found.st_uid == os.geteuid():
            os.fchmod(fd, 0o600)
            if os.geteuid() == 0 and owner:
                os.fchown(fd, owner, -1)


def make_state_directory(path: Path) -> None:
    """Makes it, for us alone, unless it exists. Raises OSError."""
    try:
        path.mkdir(mode=0o700)
        path.chmod(0o700)
    except FileExistsError:
        return


def read_state_file(path: Path, most_bytes: int) -> tuple[bytes, frozenset[int]]:
    """A file's bytes, and the users who may have written them. Raises OSError and StateError."""
    opened = open_state_file(path, os.O_RDONLY, most_bytes)
    with os.fdopen(opened.fd, "rb") as file:
        return file.read(most_bytes), opened.writers
