"""inotify(7): which files of a few directories may have changed, at once.

These are hints. A file system that others change over the network reports nothing, and a full queue
loses events: whoever needs all changes looks at the files now and then.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from contextlib import suppress

import anyio

from xdpkit.reach import reach
from xdpkit.runtime.closing import Closing

# linux/inotify.h.
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_UNMOUNT, _Q_OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLYDIR = 0x1000000
_CHANGES = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
_GONE = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_EVENT = struct.Struct("iIII")
"""struct inotify_event: watch, mask, cookie, length of the name that follows."""

# Events that are read at once; the longest has a name of 255 bytes.
_BUFFER = 1 << 16

# Directories: those of zones, and of files that they include. Others are looked at now and then.
WATCHES_MAX = 256

_libc = ctypes.CDLL(None, use_errno=True)


class Inotify(Closing):
    """Watches directories. Raises OSError, such as EMFILE at the limit of instances."""

    def __init__(self) -> None:
        self._fd = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._watches: dict[int, str] = {}

    def watch(self, directories: Iterable[str]) -> None:
        """Watches these directories, and no others; one that was replaced is watched anew.

        Follows paths, which may wait for a file system. Raises OSError for the first that cannot be
        watched; the others are.
        """
        wanted: dict[int, str] = {}
        failed: OSError | None = None
        for directory in sorted(directories)[:WATCHES_MAX]:
            path = os.fsencode(reach(directory))
            try:
                mask = _CHANGES | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
                wanted[_checked(_libc.inotify_add_watch(self._fd, path, mask))] = directory
            except OSError as error:
                # What is not there is missed elsewhere.
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    failed = failed or error
        for number in self._watches.keys() - wanted.keys():
            with suppress(OSError):
                _checked(_libc.inotify_rm_watch(self._fd, number))
        self._watches = wanted
        if failed:
            raise failed

    async def wait(self) -> None:
        """Waits until something has changed."""
        await anyio.wait_readable(self._fd)

    def read(self) -> tuple[set[str], bool]:
        """The paths that may have changed, and whether anything else may have."""
        paths: set[str] = set()
        lost = False
        with suppress(BlockingIOError):
            data = os.read(self._fd, _BUFFER)
            at = 0
            while at < len(data):
                number, mask, _, length = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                directory = self._watches.get(number)
                lost |= bool(mask & _Q_OVERFLOW) or bool(mask & _GONE and directory)
                if directory and name:
                    paths.add(f"{directory}/{os.fsdecode(name)}")
        return paths, lost

    def close(self) -> None:
        """Ends all watches."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
