"""What the process may do: the capabilities it needs, and how it gives up the rest.

    capability            what for                                          kept while serving
    CAP_NET_ADMIN         to attach, to set the NIC, to buffer beyond       yes: undo, new addresses
                          net.core.rmem_max
    CAP_NET_BIND_SERVICE  ports below 1024                                  yes: new addresses
    CAP_IPC_LOCK          memory that is not swapped out                    yes: zones read again
    CAP_NET_RAW           AF_XDP sockets                                    no
    CAP_BPF               to load the XDP program and make its maps         no
    CAP_PERFMON           what the verifier asks for the program's parse    no
    CAP_SYS_NICE          only for [interface] realtime                     yes: new workers, after
                                                                            a hand-over that failed

``check`` says what is missing, ``confine`` gives up all others as soon as the interface is known,
``settle`` those that set-up alone takes. By descriptor a map is written, a link detached and an
AF_XDP socket used without any (linux 6.0 and later: kernel.unprivileged_bpf_disabled keeps only
from making new ones). Nothing that happens while serving makes a socket of AF_XDP or a program.

Capabilities are each thread's own, and a new thread has its maker's. So ``confine`` comes before
there is a second one; the answering threads keep none (``cext/runtime/sandbox.h``); and ``settle`` speaks
for the one thread that is left. A hand-over to a successor needs none: its sockets, rings and link
go and come by descriptor. The compiler of the XDP program is a child: it gets the three that
it needs as ambient capabilities, whether we are root or not, and no later child gets any. A process
of root without them is the owner of root's files and no more: /dev/ptp and sysfs stay its own.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterable
from enum import IntEnum

from xdpkit.errors import PrivilegeError
from xdpkit.nic.os.xsk_bind import raised_memlock


class Capability(IntEnum):
    """Numbers of linux include/uapi/linux/capability.h."""

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


NEEDED = {
    Capability.NET_ADMIN: "to attach the XDP program",
    Capability.NET_RAW: "for AF_XDP sockets",
    Capability.BPF: "to load the XDP program",
    Capability.PERFMON: "for what the verifier lets the XDP program do",
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
# linux include/uapi/linux/capability.h, _LINUX_CAPABILITY_VERSION_3: two words of each set.
VERSION_3 = 0x20080522
# linux include/uapi/asm-generic/mman.h.
MCL_CURRENT = 1
MCL_FUTURE = 2
MCL_ONFAULT = 4

_libc = ctypes.CDLL(None, use_errno=True)


def needed(realtime: int) -> dict[Capability, str]:
    """What a configuration needs, and what for."""
    return NEEDED | ({Capability.SYS_NICE: "for [interface] realtime"} if realtime else {})


def check(needs: dict[Capability, str]) -> None:
    """Raises PrivilegeError, which names every capability that is missing."""
    held = effective()
    missing = {capability: why for capability, why in needs.items() if capability not in held}
    if Capability.IPC_LOCK in missing:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, raised_memlock())
        limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        if limit == resource.RLIM_INFINITY:
            del missing[Capability.IPC_LOCK]
        else:
            missing[Capability.IPC_LOCK] = (
                f"too little locked memory without it: the limit is {limit // 1024} KiB, and "
                "LimitMEMLOCK=infinity (ulimit -l) would do instead"
            )
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        told = ", ".join(f"{capability} ({why})" for capability, why in missing.items())
        raise PrivilegeError(
            f"{told} {verb} missing: run as root, or grant it (AmbientCapabilities in the unit, "
            "setpriv --inh-caps --ambient-caps)"
        )


def confine(needs: Iterable[Capability]) -> None:
    """Gives up what is not needed, for good; to be called before there is a second thread.

    What takes CAP_SETPCAP (the bounding set, root's right to get all back by execve) is done where
    it is held; no_new_privs does the same for it from then on.
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


def settle() -> None:
    """Gives up what only set-up takes; nothing is left for children."""
    _capset(effective() & {*KEPT, Capability.SYS_NICE})


def lock_memory() -> None:
    """Keeps what has been touched from now on out of swap, and the program from being dropped.

    All of it, rather than tables and zones: a reply must not wait for a page of its own code. Not
    what is mapped and never used (MCL_ONFAULT): stacks and libraries would be read in whole. Rings
    and UMEM are the kernel's and are pinned anyway. Raises PrivilegeError.
    """
    if _libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0:
        raise PrivilegeError(
            f"memory could not be locked ({os.strerror(ctypes.get_errno())}): grant CAP_IPC_LOCK, "
            "or set LimitMEMLOCK=infinity in the unit"
        )


def effective() -> set[int]:
    """The capabilities of the calling thread that are in force."""
    words = (ctypes.c_uint32 * 6)()
    _call("capget", ctypes.byref(_header()), words)
    return {number for number in range(64) if words[number // 32 * 3] >> number % 32 & 1}


def _capset(keep: Iterable[int], inheritable: Iterable[int] = ()) -> None:
    """Each set's low words, effective, permitted and inheritable; then the high words."""
    words = (ctypes.c_uint32 * 6)()
    for kind, numbers in enumerate((keep, keep, inheritable)):
        for number in numbers:
            words[number // 32 * 3 + kind] |= 1 << number % 32
    _call("capset", ctypes.byref(_header()), words)


def _header() -> ctypes.Array[ctypes.c_uint32]:
    """struct __user_cap_header_struct: the version, and 0 for the calling thread."""
    return (ctypes.c_uint32 * 2)(VERSION_3, 0)


def _prctl(option: int, *arguments: int, required: bool = True) -> int:
    """prctl(2); an error is raised, or -1 returned where it may fail."""
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(option, *words)
    if result < 0 and required:
        _refused("prctl")
    return result


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        _refused(name)


def _refused(call: str) -> None:
    reason = os.strerror(ctypes.get_errno())
    raise PrivilegeError(f"{call}: {reason}: a sandbox around xdpkit forbids it; allow it there")
