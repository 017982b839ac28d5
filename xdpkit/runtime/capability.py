"""The capabilities of the calling thread, by the names and numbers of capabilities(7)."""

from __future__ import annotations

import ctypes
import errno
import os
from enum import IntEnum

from xdpkit.errors import PrivilegeError

# linux include/uapi/linux/capability.h, _LINUX_CAPABILITY_VERSION_3: two words of each set.
VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


class Capability(IntEnum):
    """As numbered in linux include/uapi/linux/capability.h."""

    DAC_OVERRIDE = 1
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    NET_RAW = 13
    IPC_LOCK = 14
    SYS_NICE = 23
    PERFMON = 38
    BPF = 39

    def __str__(self) -> str:
        return f"CAP_{self.name}"


def effective() -> set[int]:
    """The effective capabilities of the calling thread. Raises PrivilegeError."""
    words = (ctypes.c_uint32 * 6)()
    if _libc.capget(ctypes.byref(header()), words) != 0:
        raise refused("capget")
    return {number for number in range(64) if words[number // 32 * 3] >> number % 32 & 1}


def header() -> ctypes.Array[ctypes.c_uint32]:
    """struct __user_cap_header_struct: the version, and 0 for the calling thread."""
    return (ctypes.c_uint32 * 2)(VERSION_3, 0)


def refused(call: str) -> PrivilegeError:
    """The error for a call about a process's own privileges, from the errno of ctypes.

    They need no permission that it does not have: only a filter answers that it is denied.
    """
    number = ctypes.get_errno()
    filtered = number in (errno.EPERM, errno.EACCES, errno.ENOSYS)
    hint = ": a sandbox around xdpkit forbids it; allow it there" if filtered else ""
    return PrivilegeError(f"{call}: {os.strerror(number)}{hint}")
