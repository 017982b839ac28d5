"""Loads an XDP program from ``ebpf/`` and gives its maps to the rest of the control plane."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass, field

from xdpkit.errors import BpfError, StampError
from xdpkit.runtime import child

# Of the JSON reply: room for LOG_LIMIT of compile.py, escaped.
REPLY_LIMIT = 256 * 1024

# It takes a second, and some twenty in a VM under software emulation.
COMPILE_SECONDS = 180.0


@dataclass
class Program:
    """A loaded XDP program; owns the descriptors of the program and of its maps, by name."""

    name: str
    fd: int
    maps: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Closes every descriptor; a link keeps the program itself loaded."""
        for fd in (self.fd, *self.maps.values()):
            os.close(fd)
        self.maps.clear()


def load(name: str, *macros: str, ifindex: int = 0) -> Program:
    """Compiles and loads ``ebpf/NAME.c`` in a child process; ``compile.py`` says why.

    With an ``ifindex`` of this network namespace, the program is bound to that interface. Raises
    BpfError when there is no bcc, no headers or no permission, or when the compiler or verifier
    rejects the program, with its log; StampError when only the binding fails.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    arguments = [str(theirs.fileno()), name, str(ifindex), *macros]
    with ours:
        with theirs:
            process = subprocess.Popen(
                child.python("xdpkit.bpf.compile", *arguments),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **child.options(theirs.fileno()),
            )
        ours.settimeout(COMPILE_SECONDS)
        try:
            data, fds, _, _ = socket.recv_fds(ours, REPLY_LIMIT, 16)
        except TimeoutError as error:
            process.kill()
            raise BpfError(
                f"the bcc compiler process gave no answer for {COMPILE_SECONDS:g} s, and was ended:"
                " see whether this machine is short of memory or CPU time"
            ) from error
    status = process.wait()
    if not data:
        raise BpfError(f"the bcc compiler process exited with status {status}: run with --debug")
    answer = json.loads(data)
    if "error" not in answer:
        return Program(name, fds[0], dict(zip(answer["maps"], fds[1:], strict=True)))
    raise refusal(answer["error"], answer["log"])


def refusal(kind: str, log: str) -> BpfError | StampError:
    """Turns the child's name for a failure into an error that says how to fix it."""
    if kind == "not-bound":
        reason, _, details = log.partition("\n")
        error = StampError(reason)
        error.add_note(details)
        return error
    if kind == "no-bcc":
        return BpfError(
            "bcc is not installed for this Python: apt-get install python3-bpfcc, and use a venv "
            "created with --system-site-packages (PyPI's bcc is another package)",
            log,
        )
    if kind == "no-headers":
        return BpfError(f"no UAPI headers at {log}: apt-get install linux-libc-dev", log)
    if "Operation not permitted" in log or os.geteuid() != 0:
        return BpfError(
            "the kernel does not let us load an XDP program: run as root, or with CAP_BPF, "
            "CAP_PERFMON and CAP_NET_ADMIN",
            log,
        )
    return BpfError(
        "bcc or the kernel's verifier rejected the XDP program (Linux 6.1 or later is needed): "
        "--debug shows its log",
        log,
    )
