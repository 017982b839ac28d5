"""Runs a command under a seccomp filter that denies some system calls: seccomp(2).

    python forbidding.py bpf:5 socket:44 -- xdpkit run ...

A call is its name; "bpf:5" denies it only if its first argument is 5, "prlimit64!2" only if its
argument 2 (from 0) is not a null pointer. The answer is EPERM, as from a container's default
profile or SystemCallErrorNumber=EPERM in a unit.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import struct
import sys

# asm/unistd_64.h and asm-generic/unistd.h.
NUMBERS = {
    "x86_64": {
        "bpf": 321,
        "socket": 41,
        "setrlimit": 160,
        "prlimit64": 302,
        "mlockall": 151,
        "memfd_create": 319,
        "clone3": 435,
        "clone": 56,
        "perf_event_open": 298,
        "eventfd2": 290,
    },
    "aarch64": {
        "bpf": 280,
        "socket": 198,
        "setrlimit": 164,
        "prlimit64": 261,
        "mlockall": 230,
        "memfd_create": 279,
        "clone3": 435,
        "clone": 220,
        "perf_event_open": 241,
        "eventfd2": 19,
    },
}

# linux/bpf_common.h, linux/seccomp.h, linux/prctl.h.
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050000 | 1
PR_SET_SECCOMP, MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
# struct seccomp_data: nr, arch, instruction pointer, args[6].
NUMBER, FIRST_ARGUMENT = 0, 16


def program(denied: list[str]) -> bytes:
    """The filter: struct sock_filter is code, jump if true, jump if false, constant."""
    code = []
    for call in denied:
        name, argument, pointer = re.fullmatch(r"(\w+)(?::(\d+))?(?:!(\d))?", call).groups()
        number = NUMBERS[platform.machine()][name]
        code.append((LOAD, 0, 0, NUMBER))
        if argument:
            code += [(EQUAL, 0, 3, number), (LOAD, 0, 0, FIRST_ARGUMENT)]
            code += [(EQUAL, 0, 1, int(argument))]
        elif pointer:
            code += [(EQUAL, 0, 3, number), (LOAD, 0, 0, FIRST_ARGUMENT + 8 * int(pointer))]
            code += [(EQUAL, 1, 0, 0)]
        else:
            code.append((EQUAL, 0, 1, number))
        code.append((RETURN, 0, 0, DENY))
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in code)


def main(argv: list[str]) -> None:
    """Installs the filter and becomes the command."""
    middle = argv.index("--")
    code = ctypes.create_string_buffer(program(argv[:middle]))
    # struct sock_fprog: the number of instructions of 8 bytes, and where they are.
    filters = struct.pack("HP", (len(code) - 1) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    # Without CAP_SYS_ADMIN, a filter requires it.
    if os.environ.get("FORBIDDING_NO_NEW_PRIVS"):
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, filters, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")
    os.execvp(argv[middle + 1], argv[middle + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
