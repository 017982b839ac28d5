"""Why the XDP program could not be compiled or loaded: what bcc, clang or the kernel said of it."""

from __future__ import annotations

import errno
import os
import platform
import re
import signal

from xdpkit._core._bpf import VerifierError
from xdpkit.runtime.capability import Capability
from xdpkit.runtime.privileges import COMPILER
from xdpkit.runtime.reasons import failed, fix

# What steer.c is written for: its helpers, and BPF_LINK_UPDATE for XDP.
OLDEST_KERNEL = (6, 1)

# The reply carries at most this much of the compiler's or verifier's log: it is one datagram.
LOG_LIMIT = 60_000

NO_BCC = (
    "bcc is not installed for this Python: apt-get install python3-bpfcc, and use a venv "
    "created with --system-site-packages (PyPI's bcc is another package)"
)

# libbcc's message, src/cc/bpf_module.cc and frontends/clang.
_MAP = re.compile(r"could not open bpf map: ([^,]+), error: (.+)")
_CLANG = re.compile(r"^(?:.*/)?([^/\s]+:\d+:\d+): (?:fatal )?error: (.+)$", re.MULTILINE)
_MEMORY = re.compile(r"out of memory|bad_alloc|Allocation failed|MemoryError|Cannot allocate mem")
_MAPPING = "failed to map segment"

_ERRNOS = {os.strerror(number): number for number in range(1, 134)}


class Refusal(Exception):
    """The program could not be loaded; the message is one line, ``log`` has the details.

    ``bound`` if only a program that is bound to an interface could not.
    """

    def __init__(self, reason: str, log: str = "", bound: bool = False) -> None:
        super().__init__(reason)
        self.log, self.bound = log, bound


def import_failure(error: Exception) -> str:
    """The reason for a failed import of bcc."""
    if isinstance(error, ModuleNotFoundError) and error.name == "bcc":
        return NO_BCC
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or _MAPPING in text or _MEMORY.search(text):
        return f"bcc cannot be loaded: {text or 'out of memory'}: {fix(errno.ENOMEM)}"
    number = next((n for words, n in _ERRNOS.items() if words in text), 0)
    hint = fix(number) or "apt-get install --reinstall python3-bpfcc"
    return f"bcc cannot be loaded: {text}: {hint}"


def compile_failure(source: str, error: Exception, output: str) -> str:
    """The reason for an exception of bcc while it compiled, from what it and clang wrote."""
    if found := _MAP.search(output):
        call = f"the map {found[1]} could not be created: bpf(BPF_MAP_CREATE)"
        number = _ERRNOS.get(found[2].strip())
        return failed(call, number, Capability.BPF) if number else f"{call}: {found[2]}"
    if found := _CLANG.search(output):
        # bcc gives clang the file under this name.
        place = re.sub(r"^main\.c", source, found[1])
        return f"clang rejected {place}: {found[2]}: --debug shows its output"
    if _MEMORY.search(output):
        return f"bcc could not compile {source}: {last_line(output)}: {fix(errno.ENOMEM)}"
    said = last_line(output) or " ".join(str(error).split()) or type(error).__name__
    return f"bcc could not compile {source}: {said}: --debug shows its output"


def load_failure(source: str, error: VerifierError) -> str:
    """The reason for a failed BPF_PROG_LOAD: the verifier's own only if it ran."""
    said = verdict(error.log)
    needs = sorted(COMPILER)
    if not said:
        return failed(source, error, *needs) + _old_kernel()
    hint = fix(error.errno or 0, *needs)
    hint = f": {hint}" if "missing" in hint else _old_kernel() or ": --debug shows its log"
    return (
        f"the kernel's verifier rejected {source} ({os.strerror(error.errno or 0)}): {said}{hint}"
    )


def child_failure(status: int, output: str) -> str:
    """The reason for a compiler process that ended without an answer."""
    ended = f"exited with status {status}" if status >= 0 else f"was ended by {_signal(-status)}"
    said = last_line(output)
    reason = f"the compiler process of the XDP program (bcc, LLVM) {ended}"
    if said:
        reason += f": {said}"
    if _MEMORY.search(output) or _MAPPING in output:
        return f"{reason}: {fix(errno.ENOMEM)}"
    if not said and status < 0:
        return f"{reason}: journalctl -k may show who ended it"
    return f"{reason}: --debug shows its output"


def verdict(log: str) -> str:
    """The line of a verifier's log that says what is wrong; empty if the verifier did not run."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    while lines and re.match(r"processed \d+ insns|verification time|stack depth", lines[-1]):
        lines.pop()
    return lines[-1] if lines else ""


def last_line(output: str) -> str:
    """The last line that is not blank, shortened."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


def _old_kernel() -> str:
    release = platform.release()
    found = re.match(r"(\d+)\.(\d+)", release)
    if found and (int(found[1]), int(found[2])) < OLDEST_KERNEL:
        oldest = ".".join(map(str, OLDEST_KERNEL))
        return f": this kernel is {release}, and {oldest} or later is needed"
    return ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
