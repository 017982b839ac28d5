"""What the process may do: the capabilities it needs, and how it drops the rest.

    capability            purpose                                           kept while serving
    CAP_NET_ADMIN         to attach, to change NIC settings, to exceed      yes: undo, new addresses
                          net.core.rmem_max
    CAP_NET_BIND_SERVICE  ports below 1024                                  yes: new addresses
    CAP_IPC_LOCK          memory that is not swapped out                    yes: reloaded zones
    CAP_NET_RAW           AF_XDP sockets                                    no
    CAP_BPF               to load the XDP program and create its maps       no
    CAP_PERFMON           the verifier requires it for the XDP program      no
    CAP_SYS_NICE          only for [interface] realtime                     yes: new workers, after
                                                                            a failed handover

``check`` reports what is missing, ``confine`` drops all others as soon as the interface is known,
``settle`` those that only setup takes. With their descriptors, a map can be written, a link
detached and an AF_XDP socket used without any (since Linux 6.0, kernel.unprivileged_bpf_disabled
only prevents creating new ones). While serving, no AF_XDP socket or program is created.

Capabilities belong to a thread, and a new thread inherits its creator's. So ``confine`` runs before
there is a second one; the answering threads keep none (cext/runtime/sandbox.h); and ``settle`` is
for the main thread. A handover needs none: sockets, rings and link are passed as descriptors. The
compiler of the XDP program is a child process: it gets the three that it needs as ambient
capabilities, root or not, and no later child gets any. A root process without capabilities still
owns root's files, such as /dev/ptp and sysfs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from xdpkit.errors import PrivilegeError
from xdpkit.runtime.capability import Capability, effective, header, refused
from xdpkit.runtime.reasons import failed, fix, grant

__all__ = ["COMPILER", "KEPT", "NEEDED", "Capability", "effective", "needed"]

T = TypeVar("T")


NEEDED = {
    Capability.NET_ADMIN: "to attach the XDP program",
    Capability.NET_RAW: "for AF_XDP sockets",
    Capability.BPF: "to load the XDP program",
    Capability.PERFMON: "for the verifier to accept the XDP program",
    Capability.NET_BIND_SERVICE: "for ports below 1024",
    Capability.IPC_LOCK: "for memory that is not swapped out",
}
KEPT = frozenset(NEEDED) - {Capability.NET_RAW, Capability.BPF, Capability.PERFMON}
COMPILER = frozenset({Capability.NET_ADMIN, Capability.BPF, Capability.PERFMON})

# linux include/uapi/linux/prctl.h and securebits.h.
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECBIT_NOROOT = 1 << 0
SECBIT_NOROOT_LOCKED = 1 << 1
# linux include/uapi/asm-generic/mman.h.
MCL_CURRENT = 1
MCL_FUTURE = 2
MCL_ONFAULT = 4

_libc = ctypes.CDLL(None, use_errno=True)


def needed(realtime: int) -> dict[Capability, str]:
    """The capabilities that a configuration needs, and why."""
    return NEEDED | ({Capability.SYS_NICE: "for [interface] realtime"} if realtime else {})


def check(needs: dict[Capability, str]) -> None:
    """Raises PrivilegeError, which names every missing capability."""
    held = effective()
    missing = {capability: why for capability, why in needs.items() if capability not in held}
    if Capability.IPC_LOCK in missing:
        limit = raise_memlock()
        if limit == resource.RLIM_INFINITY:
            del missing[Capability.IPC_LOCK]
        else:
            missing[Capability.IPC_LOCK] = (
                f"too little locked memory without it: the limit is {limit // 1024} KiB, and "
                "LimitMEMLOCK=infinity (ulimit -l) would also do"
            )
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        names = ", ".join(f"{capability} ({why})" for capability, why in missing.items())
        raise PrivilegeError(f"{names} {verb} missing: {grant()}")


def confine(needs: Iterable[Capability]) -> None:
    """Drops what is not needed, for good; must be called before there is a second thread.

    With CAP_SETPCAP, this includes the bounding set and root's right to regain everything by
    execve; no_new_privs has the same effect without it.
    """
    held = effective()
    keep = held & set(needs)
    if Capability.SETPCAP in held:
        for number in range(64):
            if _prctl(PR_CAPBSET_READ, number, required=False) == 1 and number not in keep:
                _prctl(PR_CAPBSET_DROP, number)
        _prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _capset(keep, inheritable=keep & COMPILER)
    for capability in keep & COMPILER:
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def confined() -> bool:
    """Whether this thread opens files with the rights of its user only, as after ``confine``."""
    return Capability.DAC_OVERRIDE not in effective()


def settle() -> None:
    """Drops what only setup takes, for this thread; its children get nothing."""
    _capset(effective() & {*KEPT, Capability.SYS_NICE})


def drop() -> None:
    """Drops every capability, for this thread; a child of root may gain them again."""
    _capset(())


def unprivileged(work: Callable[[], T]) -> T:
    """What ``work`` returns or raises in a thread without any capability."""
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            drop()
            result.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return result[0]


def lock_memory() -> None:
    """Locks all memory that is used from now on, so that no page is swapped out or dropped.

    Everything, not just tables and zones: a reply must not wait for a page of its own code. Pages
    are locked when first used (MCL_ONFAULT): otherwise, whole stacks and libraries would be read
    in. Rings and UMEM are pinned by the kernel anyway. Raises PrivilegeError.
    """
    if _libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0:
        return
    number = ctypes.get_errno()
    # mlockall(2): ENOMEM is a limit that is too low, EPERM one of 0, for those without the right.
    limit = raise_memlock()
    hint = fix(errno.EPERM, Capability.IPC_LOCK)
    if limit != resource.RLIM_INFINITY and number == errno.ENOMEM:
        hint = (
            f"the limit is {limit // 1024} KiB: set LimitMEMLOCK=infinity in the unit (ulimit -l)"
        )
    raise PrivilegeError(f"memory could not be locked: mlockall: {os.strerror(number)}: {hint}")


def raise_memlock() -> int:
    """Raises the limit on locked memory as far as is permitted; returns it, in bytes.

    0 if a filter does not even let it be read.
    """
    infinity = resource.RLIM_INFINITY
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        for limit in (infinity, hard) if os.geteuid() == 0 else (hard,):
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
                break
        return resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    except OSError:
        return 0


def raise_open_files() -> str | None:
    """Raises the limit on open files to the hard one; a line for the log if that is forbidden.

    There is a socket for every address and service: the usual soft limit, 1024, may be too low.
    """
    soft: object = "what it is"
    try:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:
        # Python's resource module turns EPERM into ValueError.
        number = getattr(error, "errno", None) or errno.EPERM
        return f"the limit on open files stays at {soft}: {failed('setrlimit', number)}"
    return None


def _capset(keep: Iterable[int], inheritable: Iterable[int] = ()) -> None:
    """Low words of the effective, permitted and inheritable set, then the high words."""
    words = (ctypes.c_uint32 * 6)()
    for kind, numbers in enumerate((keep, keep, inheritable)):
        for number in numbers:
            words[number // 32 * 3 + kind] |= 1 << number % 32
    _call("capset", ctypes.byref(header()), words)


def _prctl(option: int, *arguments: int, required: bool = True) -> int:
    """prctl(2); raises PrivilegeError, or returns -1 unless it is required to succeed."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(option, *words)
    if result < 0 and required:
        raise refused("prctl")
    return result


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        raise refused(name)
