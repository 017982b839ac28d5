"""Freezes a thread of another process, or injects a system call: ptrace(2), x86-64."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# linux include/uapi/linux/ptrace.h.
PTRACE_GETREGS = 12
PTRACE_SETREGS = 13
PTRACE_ATTACH = 16
PTRACE_DETACH = 17
PTRACE_SYSCALL = 24
# So that waitpid(2) sees a thread: linux include/uapi/linux/wait.h.
WALL = 0x40000000

# The length of the instruction "syscall".
SYSCALL_BYTES = 2

GETPID = 39
"""A system call that no loop makes, and that is harmless."""

REGISTERS = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
    "fs_base gs_base ds es fs gs"
)

needs_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="writes the registers of an x86-64 thread"
)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class Registers(ctypes.Structure):
    """struct user_regs_struct of <sys/user.h>."""

    _fields_ = tuple((name, ctypes.c_ulonglong) for name in REGISTERS.split())


def ptrace(request: int, tid: int, data: ctypes.Structure | None = None) -> None:
    """ptrace(2). Raises OSError."""
    if _libc.ptrace(request, tid, None, ctypes.byref(data) if data else None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@contextmanager
def frozen(tid: int) -> Iterator[None]:
    """Freezes the thread during a block; it may be gone at the end."""
    ptrace(PTRACE_ATTACH, tid)
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        try:
            ptrace(PTRACE_DETACH, tid)
        except ProcessLookupError:
            # Its process ends only after its tracer has waited for it too.
            os.waitpid(tid, WALL)


def make_call(tid: int, *, sleeping: bool) -> None:
    """Makes a thread call getpid(2), at its next system call.

    If it is ``sleeping`` in a system call, this call replaces the interrupted one.
    """
    registers = Registers()
    with frozen(tid):
        if not sleeping:
            ptrace(PTRACE_SYSCALL, tid)
            os.waitpid(tid, WALL)
        ptrace(PTRACE_GETREGS, tid, registers)
        # Back to the instruction, with another number; -1: no call to restart. At syscall entry,
        # where the instruction has already been executed, only the number matters.
        registers.rip -= SYSCALL_BYTES
        registers.rax, registers.orig_rax = GETPID, (1 << 64) - 1
        ptrace(PTRACE_SETREGS, tid, registers)
