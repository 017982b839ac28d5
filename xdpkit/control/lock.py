"""The lock between instances: a file below /run/xdpkit for each interface of each namespace.

Anybody may bind an abstract socket's name, and so keep a service from starting whose lock it is;
into this directory only root and the service's user write. The lock is flock(2)'s: it ends with
the process, a successor gets it as a descriptor, and whoever asks whether it is held learns from
the file's owner which user the instance runs as.

Where there can be no such file (no /run/xdpkit, and no right to make one), the control socket's
name is the lock, as the log says. The last resort is the kernel, which has one XDP program for each
interface.
"""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from xdpkit.errors import ControlError, StateError
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.netns import namespace
from xdpkit.runtime.state_files import STATE, make_state_directory, open_state_file

log = logging.getLogger("xdpkit")

SUFFIX = ".lock"

# It holds a PID and, where the instance could not have its name, that of its control socket.
_MOST_BYTES = 64

# Somebody who asks whether the lock is held has it for a moment.
_PATIENCE_SECONDS = 0.5


def path_of(ifindex: int, directory: Path = STATE) -> Path:
    """The lock's file, for an interface of this network namespace."""
    return directory / f"{ifindex}@{namespace()}{SUFFIX}"


class Holder(NamedTuple):
    """Who has a lock: the user, and the end of the control socket's name, empty if it is free."""

    user: int
    spare: str = ""


def holder(ifname: str) -> Holder | None:
    """Whose instance serves an interface; None if there is none, or we may not know."""
    try:
        return _holder_of(path_of(socket.if_nametoindex(ifname)))
    except OSError:
        return None


def served() -> list[str]:
    """The interfaces of this network namespace whose locks are held, as far as we may know."""
    found = []
    ours = f"@{namespace()}{SUFFIX}"
    with suppress(OSError):
        for name in os.listdir(STATE):  # noqa: PTH208
            index = name.removesuffix(ours)
            if name.endswith(ours) and index.isdecimal() and _holder_of(STATE / name):
                with suppress(OSError, OverflowError, ValueError):
                    found.append(socket.if_indextoname(int(index)))
    return found


def _holder_of(path: Path) -> Holder | None:
    try:
        opened = open_state_file(path, os.O_RDONLY, _MOST_BYTES)
    except (OSError, StateError):
        return None
    try:
        fcntl.flock(opened.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Holder(os.fstat(opened.fd).st_uid, _spare_in(opened.fd))
    except OSError:
        return None
    finally:
        os.close(opened.fd)
    return None


def _spare_in(fd: int) -> str:
    _, _, rest = os.pread(fd, _MOST_BYTES, 0).partition(b"\n")
    return rest.strip().decode("ascii", "replace")


class InstanceLock(Closing):
    """``acquire`` or ``adopt`` takes it, ``close`` frees it, ``give`` leaves it to a successor."""

    def __init__(self, ifname: str, ifindex: int, directory: Path = STATE) -> None:
        self.ifname = ifname
        self.path = path_of(ifindex, directory)
        self.holder: Holder | None = None
        """Whose instance has the lock, once looked for."""
        self._fd = -1
        self._spare = ""

    @property
    def fd(self) -> int | None:
        """The descriptor for a successor; None where the socket's name is the lock."""
        return self._fd if self.is_held else None

    @property
    def is_held(self) -> bool:
        """Whether the file is locked by us."""
        return self._fd >= 0

    def find_holder(self) -> None:
        """Looks for who has the lock."""
        self.holder = _holder_of(self.path)

    def acquire(self) -> None:
        """Takes the lock. Raises ControlError if another instance has it, or might have.

        Where there can be no file, logs that, and takes nothing.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self.is_held:
            try:
                fd = self._open()
            except StateError as error:
                raise ControlError(f"{self.ifname}: no lock: {error}") from error
            except OSError as error:
                log.warning(
                    "%s: %s, so another user can keep xdpkit from starting: have RuntimeDirectory="
                    "xdpkit in the unit, or 'install -d -m 700 -o USER %s'",
                    self.path,
                    error.strerror,
                    self.path.parent,
                )
                return
            try:
                self._take(fd, deadline)
            finally:
                if self._fd != fd:
                    os.close(fd)

    def _open(self) -> int:
        with suppress(OSError):
            make_state_directory(self.path.parent)
        # Whoever can open it can lock it: nobody else can.
        return open_state_file(self.path, os.O_RDWR | os.O_CREAT, _MOST_BYTES).fd

    def _take(self, fd: int, deadline: float) -> None:
        """Locks the file unless it has been removed meanwhile. Raises ControlError."""
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ControlError(self._held_by(fd)) from None
                time.sleep(0.01)
        with suppress(FileNotFoundError):
            if os.path.samestat(self.path.stat(follow_symlinks=False), os.fstat(fd)):
                self._fd = fd
                self._write()

    def _held_by(self, fd: int) -> str:
        text = os.pread(fd, _MOST_BYTES, 0).partition(b"\n")[0]
        pid = f" (pid {int(text)})" if text.isdigit() else ""
        return f"another xdpkit serves {self.ifname}{pid}: stop it, or serve another interface"

    def adopt(self, fd: int) -> None:
        """Takes over a predecessor's descriptor, which has the lock, and owns it."""
        self._fd, self._spare = fd, _spare_in(fd)
        self._write()

    def note(self, spare: str) -> None:
        """Writes down where the control socket is: whoever may read this need not search for it."""
        self._spare = spare
        if self.is_held:
            self._write()

    def _write(self) -> None:
        # Without room on the disk it is empty, and the lock nevertheless.
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n{self._spare}\n".encode(), 0)

    def give(self) -> None:
        """Forgets it: a successor has another descriptor of it."""
        if self.is_held:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Frees it, and removes the file; a second call does nothing."""
        if self.is_held:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
            self.give()
