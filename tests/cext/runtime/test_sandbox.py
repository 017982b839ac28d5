"""The system calls of answering threads: each is tried in a thread with their sandbox."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from c_programs import programs

# Allowed in every thread, besides exit(2), which none survives.
ANY = [
    "brk",
    "clock_gettime",
    "futex",
    "madvise",
    "mmap",
    "mprotect",
    "munmap",
    "restart_syscall",
    "rt_sigprocmask",
]
# In the order of enum sandbox_kind.
KINDS = {
    "ring": ["poll", "ppoll", "recvfrom", "sendto"],
    "udp": ["epoll_wait", "epoll_pwait", "recvmmsg", "sendmmsg"],
    "tcp": [
        *("accept4", "close", "epoll_ctl", "epoll_wait", "epoll_pwait"),
        *("recvfrom", "sendto", "setsockopt", "shutdown"),
    ],
}


@pytest.fixture(scope="module")
def program() -> Path:
    """The program that tries all system calls."""
    (built,) = programs("sandbox_test")
    return built


def numbers(gcc: str, names: list[str]) -> set[int]:
    """This machine's system call numbers, from the C library's header."""
    text = "#include <sys/syscall.h>\n" + "".join(
        f"#ifdef __NR_{n}\n__NR_{n}\n#endif\n" for n in names
    )
    command = [gcc, "-E", "-P", "-x", "c", "-"]
    done = subprocess.run(command, input=text, check=True, capture_output=True, text=True)
    return {int(word) for word in done.stdout.split()}


@pytest.mark.parametrize("kind", KINDS)
def test_only_these_calls(tool: Callable[[str], str], program: Path, kind: str) -> None:
    done = subprocess.run(
        [program, str(list(KINDS).index(kind))], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {int(line) for line in done.stdout.split()} == numbers(tool("gcc"), ANY + KINDS[kind])
