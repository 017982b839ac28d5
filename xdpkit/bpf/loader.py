"""Loads an XDP program of ``ebpf/`` and hands its maps to the rest of the control plane."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field

from xdpkit.errors import BpfError, StampError

# The reply's JSON: LOG_LIMIT of compile.py, escaped.
REPLY_LIMIT = 256 * 1024


@dataclass
class Program:
    """A loaded XDP program: descriptors, owned here, of the program and of its maps by name."""

    name: str
    fd: int
    maps: dict[str, int] = field(default_factory=dict)

    def close(self) -> None:
        """Closes every descriptor; a link keeps the program itself alive."""
        for fd in (self.fd, *self.maps.values()):
            os.close(fd)
        self.maps.clear()


def load(name: str, *macros: str, ifindex: int = 0) -> Program:
    """Compiles and loads ``ebpf/NAME.c`` in a child; see ``compile.py`` for why a child.

    With an ``ifindex`` of this network namespace the program is bound to that interface. Raises
    BpfError: no bcc, no headers, no permission, or the compiler's or verifier's refusal with its
    log; StampError where only the binding fails.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The child must see our package, and the distribution's bcc through the venv's site packages.
    command = [sys.executable, "-P", "-m", "xdpkit.bpf.compile", str(theirs.fileno()), name]
    command += [str(ifindex), *macros]
    with ours:
        with theirs:
            child = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        data, fds, _, _ = socket.recv_fds(ours, REPLY_LIMIT, 16)
    status = child.wait()
    if not data:
        raise BpfError(f"the bcc compiler child ended with status {status}: run with --debug")
    answer = json.loads(data)
    if "error" not in answer:
        return Program(name, fds[0], dict(zip(answer["maps"], fds[1:], strict=True)))
    raise refusal(answer["error"], answer["log"])


def refusal(kind: str, log: str) -> BpfError | StampError:
    """Turns the child's word for a failure into an error that names the fix."""
    if kind == "not-bound":
        reason, _, words = log.partition("\n")
        error = StampError(reason)
        error.add_note(words)
        return error
    if kind == "no-bcc":
        return BpfError(
            "bcc is not installed for this Python: apt-get install python3-bpfcc, and use a venv "
            "made with --system-site-packages (PyPI's bcc is another package)",
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
        "bcc or the kernel's verifier refused the XDP program (kernel 6.1 or later is needed): "
        "--debug shows its log",
        log,
    )
