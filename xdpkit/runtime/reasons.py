"""What is known about a system call that failed: the right it lacks, the limit it met.

An errno says what the kernel answered, and rarely why. Here are the facts that a process can look
up about itself: its capabilities, its limits, whether a seccomp filter is on. Where they explain
nothing, the message names the call and the answer, and does not guess.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from pathlib import Path

from xdpkit.errors import PrivilegeError
from xdpkit.runtime.capability import Capability, effective

# linux include/uapi/linux/prctl.h and seccomp.h.
PR_GET_SECCOMP = 21
SECCOMP_MODE_FILTER = 2

# linux include/linux/proc_ns.h, PROC_USER_INIT_INO: the user namespace of the host.
HOST_USERS = "user:[4026531837]"

_libc = ctypes.CDLL(None, use_errno=True)


def failed(call: str, error: BaseException | int, *needs: Capability) -> str:
    """A failed call in one line: its name, the kernel's answer, and what to do, if that is known.

    ``needs`` are the capabilities that it takes. A file that the error names is named, too.
    """
    if isinstance(error, MemoryError):
        error = errno.ENOMEM
    if isinstance(error, int):
        return _line(call, os.strerror(error), fix(error, *needs))
    if not isinstance(error, OSError):
        return _line(call, " ".join(str(error).split()) or type(error).__name__)
    # Errors without a number, of Python's resolver for one, and our own have only their text.
    number = error.errno or 0
    # Our own errors name the call there, or have the kernel's words.
    text = error.strerror or str(error)
    if not isinstance(error.filename, str | bytes):
        return _line(call, text, fix(number, *needs))
    path = os.fsdecode(error.filename)
    if number == errno.EACCES and os.geteuid() != 0:
        return _line(call, f"{path}: {text}", "run as root, or as the user that owns it")
    return _line(call, f"{path}: {text}", _unmounted(path) or fix(number, *needs))


def _line(*parts: str) -> str:
    return ": ".join(part for part in parts if part)


def fix(number: int, *needs: Capability) -> str:
    """What to do about an errno, from this process's rights and limits; empty if unknown."""
    if number in (errno.EPERM, errno.EACCES):
        return denied(*needs)
    if number == errno.EMFILE:
        known = _limit(resource.RLIMIT_NOFILE)
        return f"raise the limit on open files{known} (ulimit -n, LimitNOFILE= in the unit)"
    if number == errno.EAGAIN:
        known = _limit(resource.RLIMIT_NPROC)
        return (
            f"see the limits on processes{known} (ulimit -u, TasksMax= in the unit) and on locked "
            "memory (ulimit -l)"
        )
    if number in (errno.ENOMEM, errno.ENOBUFS):
        return _memory()
    return _OTHERS.get(number, "")


_OTHERS = {
    errno.ENFILE: "the whole system has no file descriptors left: raise fs.file-max",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "the disk quota is used up: free some space, or raise it",
    errno.EROFS: "that file system is mounted read-only: mount it writable",
    errno.ENOSYS: "this kernel is built without it",
}


def denied(*needs: Capability) -> str:
    """What is known about an EPERM or EACCES of a call that takes these capabilities."""
    try:
        held = effective()
    except PrivilegeError as error:
        return str(error)
    missing = [str(capability) for capability in needs if capability not in held]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return f"{', '.join(missing)} {verb} missing: {grant()}"
    if needs and not _host_users():
        return "capabilities of another user namespace do not count for this: run it outside"
    has = f"the process has {', '.join(map(str, needs))}; " if needs else ""
    if _libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER:
        return (
            f"{has}a seccomp filter is on (SystemCallFilter= in the unit, a container's "
            "profile): see that it allows this call"
        )
    return f"{has}look for a security policy that forbids it (journalctl -k)" if has else ""


def grant() -> str:
    """How a missing capability can be had."""
    if os.geteuid() == 0:
        return (
            "this root does not have it: grant it (CapabilityBoundingSet= in the unit, --cap-add "
            "of a container)"
        )
    return "run as root, or grant it (AmbientCapabilities= in the unit)"


def _unmounted(path: str) -> str:
    """That the kernel's file system for a path is not mounted, if so."""
    for root, kind in (("/proc", "proc"), ("/sys", "sysfs")):
        if path.startswith(f"{root}/") and not any(Path(root).glob("[!.]*")):
            return f"nothing is mounted at {root}: mount {kind} there"
    return ""


def _host_users() -> bool:
    """Whether this is the host's user namespace; True where that is unknown."""
    try:
        # A link of procfs, not a path.
        return os.readlink("/proc/self/ns/user") == HOST_USERS  # noqa: PTH115
    except OSError:
        return True


def _limit(kind: int, unit: str = "", shift: int = 0) -> str:
    """A soft limit as ", N UNIT"; empty where there is none, or a filter hides it."""
    try:
        limit, _ = resource.getrlimit(kind)
    except OSError:
        return ""
    return "" if limit == resource.RLIM_INFINITY else f", {limit >> shift}{unit}"


def _memory() -> str:
    if known := _limit(resource.RLIMIT_AS, " MiB", 20):
        return f"raise the limit on address space{known} (ulimit -v, LimitAS= in the unit)"
    return "free memory, or raise the limit of the unit or container (MemoryMax=)"
