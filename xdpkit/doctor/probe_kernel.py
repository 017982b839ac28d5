"""Reads whether the kernel and this installation have what the server needs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from xdpkit.bpf import btf
from xdpkit.nic.fact import Fact, Unknown, read_fact, read_number, read_text
from xdpkit.runtime import child
from xdpkit.runtime.privileges import NEEDED

# On a cold start, libbcc reads LLVM from disk.
_BCC_SECONDS = 30

# -P: ignore a bcc in the working directory, which is not the one the server would use.
_BCC = "import bcc; print(bcc.__version__)"


@dataclass(frozen=True)
class Kernel:
    """The kernel, and what compiles BPF programs for it."""

    release: str
    version: tuple[int, int]
    af_xdp: Fact[bool]
    btf: bool
    """Whether the kernel has BTF: needed for hardware timestamps."""
    jit: Fact[int]
    """net.core.bpf_jit_enable: 0 means interpreted."""
    jit_harden: Fact[int]
    """net.core.bpf_jit_harden: 2 blinds the constants of root's programs, too."""
    lockdown: Fact[str]
    """none, integrity or confidentiality; None where the kernel has no lockdown."""
    bcc: Fact[str]
    """Version of bcc; None where this Python has none."""
    headers: bool
    """Whether linux-libc-dev, which bcc compiles against, is installed."""


@dataclass(frozen=True)
class Privileges:
    """The privileges of this process, and the most that any process started here can get."""

    root: bool
    missing: Fact[tuple[str, ...]]
    """Those of ``privileges.NEEDED`` that this process lacks."""
    unattainable: Fact[tuple[str, ...]]
    """Those that even root cannot get here (bounding set)."""
    cpus: tuple[int, ...]
    """CPUs on which this process, and so its workers, may run."""


def kernel() -> Kernel:
    """Reads the facts; takes as long as Python takes to import bcc."""
    release = os.uname().release
    return Kernel(
        release=release,
        version=version_of(release),
        af_xdp=read_fact(_has_af_xdp),
        btf=btf.VMLINUX.exists(),
        jit=_sysctl("bpf_jit_enable"),
        jit_harden=_sysctl("bpf_jit_harden"),
        lockdown=_lockdown(),
        bcc=_bcc_version(),
        headers=_has_headers(),
    )


def version_of(release: str) -> tuple[int, int]:
    """Major and minor version in a kernel's release string; (0, 0) if it has none."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def privileges() -> Privileges:
    """Reads the privileges of the calling process."""
    return Privileges(
        root=os.geteuid() == 0,
        missing=read_fact(_without, "CapEff"),
        unattainable=read_fact(_without, "CapBnd"),
        cpus=tuple(sorted(os.sched_getaffinity(0))),
    )


def _has_af_xdp() -> bool:
    """Read from the list of protocols, because opening a socket needs privileges."""
    lines = read_text("/proc/net/protocols").splitlines()
    return any(line.startswith("XDP ") for line in lines)


def _sysctl(name: str) -> Fact[int]:
    path = Path("/proc/sys/net/core") / name
    if not path.exists():
        return Unknown("net.core.bpf_* are visible in the initial network namespace only")
    return read_fact(read_number, path)


def _lockdown() -> Fact[str]:
    path = Path("/sys/kernel/security/lockdown")
    if not path.exists():
        return None
    found = read_fact(read_text, path)
    # "none [integrity] confidentiality": the one in use is in brackets.
    return found.partition("[")[2].partition("]")[0] if isinstance(found, str) else found


def _bcc_version() -> Fact[str]:
    try:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            child.python_code(_BCC),
            **child.options(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BCC_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unknown(str(error))
    if done.returncode == 0:
        return done.stdout.strip()
    last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return None if last.startswith("ModuleNotFoundError") else Unknown(last)


def _has_headers() -> bool:
    """Whether the headers that ``bpf.compile.header_tree`` links are installed."""
    include = Path("/usr/include")
    asm = (include / f"{platform.machine()}-linux-gnu" / "asm", include / "asm")
    return (include / "linux").is_dir() and any(path.is_dir() for path in asm)


def _without(which: str) -> tuple[str, ...]:
    # Not every line has a value: Linux 6.12's last one has none.
    lines = (line.partition(":") for line in read_text("/proc/self/status").splitlines())
    held = int({key: value for key, _, value in lines}[which], 16)
    return tuple(str(capability) for capability in NEEDED if not held >> capability & 1)
