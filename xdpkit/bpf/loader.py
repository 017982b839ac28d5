"""Loads an XDP program from ``ebpf/`` and gives its maps to the rest of the control plane."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from xdpkit.bpf.refusal import LOG_LIMIT, child_failure
from xdpkit.errors import BpfError, StampError
from xdpkit.runtime import child
from xdpkit.runtime.reasons import failed

# Of the JSON reply: room for LOG_LIMIT, escaped.
REPLY_LIMIT = 256 * 1024

# It takes 2 s on an idle machine, and 2 minutes under software emulation.
COMPILE_SECONDS = 900


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


class Loading:
    """A program that a child process compiles and loads; ``compile.py`` says why it is one.

    Owns that process until ``finish`` or ``close``. ``wanted`` is what it was begun with.
    """

    def __init__(self, name: str, *macros: str, ifindex: int = 0) -> None:
        self.wanted = (name, macros, ifindex)
        with ExitStack() as stack:
            try:
                self._log = os.memfd_create("xdpkit-bcc-log", os.MFD_CLOEXEC)
                stack.callback(os.close, self._log)
                self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                stack.enter_context(self._ours)
                with theirs:
                    self._compiler = _start(name, ifindex, macros, theirs, self._log)
            except OSError as error:
                what = "the compiler process of the XDP program could not be started"
                raise BpfError(failed(what, error)) from error
            self._stack = stack.pop_all()

    def finish(self) -> Program:
        """Waits for it. Raises what ``load`` does."""
        with self._stack:
            answer, fds = _answer(self._ours, self._compiler)
            status = self._compiler.wait()
            output = _tail(self._log)
        if answer is None:
            raise BpfError(child_failure(status, output), output)
        if "error" in answer:
            raise _refusal(answer, output)
        return Program(self.wanted[0], fds[0], dict(zip(answer["maps"], fds[1:], strict=True)))

    def close(self) -> None:
        """Ends the process, if it is still there; what it has loaded goes with it."""
        if self._compiler.returncode is None:
            self._compiler.kill()
            self._compiler.wait()
        self._stack.close()


def load(name: str, *macros: str, ifindex: int = 0) -> Program:
    """Compiles and loads ``ebpf/NAME.c``, with these macros defined.

    With an ``ifindex`` of this network namespace, the program is bound to that interface. Raises
    BpfError when there is no bcc, no headers, no permission or no memory, or when the compiler or
    verifier rejects the program, with its log; StampError when only the binding fails.
    """
    with closing(Loading(name, *macros, ifindex=ifindex)) as loading:
        return loading.finish()


def _start(
    name: str, ifindex: int, macros: Sequence[str], reply: socket.socket, log: int
) -> subprocess.Popen[bytes]:
    arguments = [str(reply.fileno()), name, str(ifindex), *macros]
    return subprocess.Popen(
        child.python("xdpkit.bpf.compile", *arguments),
        stdin=subprocess.DEVNULL,
        stderr=log,
        # bcc changes directory and back, which fails where ours has been deleted.
        cwd="/",
        start_new_session=True,
        **child.options(reply.fileno()),
    )


def _answer(
    ours: socket.socket, compiler: subprocess.Popen[bytes]
) -> tuple[dict[str, Any] | None, list[int]]:
    """The child's reply and descriptors; None if it ended without one. Raises BpfError."""
    ours.settimeout(COMPILE_SECONDS)
    try:
        data, fds, flags, _ = socket.recv_fds(ours, REPLY_LIMIT, 16)
    except TimeoutError:
        compiler.kill()
        compiler.wait()
        raise BpfError(
            "the compiler process of the XDP program (bcc, LLVM) did not end within "
            f"{COMPILE_SECONDS} s, and was killed: see what keeps it (memory, a slow disk)"
        ) from None
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        compiler.wait()
        raise BpfError(failed("the XDP program's descriptors", errno.EMFILE))
    return (json.loads(data) if data else None), fds


def _tail(log: int) -> str:
    size = os.fstat(log).st_size
    return os.pread(log, LOG_LIMIT, max(0, size - LOG_LIMIT)).decode("utf-8", "replace")


def _refusal(answer: dict[str, Any], output: str) -> BpfError | StampError:
    """The child's reason as an error, with the compiler's or verifier's log."""
    details = answer["log"] or output
    if not answer.get("bound"):
        return BpfError(answer["error"], details)
    error = StampError(answer["error"])
    if details:
        error.add_note(details)
    return error
