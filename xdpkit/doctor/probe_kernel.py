"""What the kernel and this installation have of what the server needs. Read only."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from xdpkit.bpf import btf
from xdpkit.nic.fact import Fact, Unknown, look, number, text
from xdpkit.runtime.privileges import NEEDED

# A cold start of libbcc maps LLVM from the disk.
_BCC_SECONDS = 30

# -P: a bcc in the working directory is not the one that would be used.
_BCC = (sys.executable, "-P", "-c", "import bcc; print(bcc.__version__)")


@dataclass(frozen=True)
class Kernel:
    """The kernel, and what compiles programs for it."""

    release: str
    version: tuple[int, int]
    af_xdp: Fact[bool]
    btf: bool
    """The kernel describes its functions: needed for stamps of the NIC's hardware."""
    jit: Fact[int]
    """net.core.bpf_jit_enable: 0 interprets."""
    jit_harden: Fact[int]
    """net.core.bpf_jit_harden: 2 blinds the constants of root's programs too."""
    lockdown: Fact[str]
    """none, integrity, confidentiality; None where the kernel has no such thing."""
    bcc: Fact[str]
    """Its version; None where this Python has none."""
    headers: bool
    """linux-libc-dev, which bcc compiles against, is there."""


@dataclass(frozen=True)
class Privileges:
    """What this process may do, and what anything started here may at most."""

    root: bool
    missing: Fact[tuple[str, ...]]
    """Of ``privileges.NEEDED``, what this process does not have."""
    unattainable: Fact[tuple[str, ...]]
    """What not even root gets here (the bounding set)."""
    cpus: tuple[int, ...]
    """Where this process may run, as the workers that it would start."""


def kernel() -> Kernel:
    """Reads it; takes as long as Python takes to import bcc."""
    release = os.uname().release
    return Kernel(
        release=release,
        version=version_of(release),
        af_xdp=look(_has_af_xdp),
        btf=btf.VMLINUX.exists(),
        jit=_sysctl("bpf_jit_enable"),
        jit_harden=_sysctl("bpf_jit_harden"),
        lockdown=_lockdown(),
        bcc=_bcc_version(),
        headers=_has_headers(),
    )


def version_of(release: str) -> tuple[int, int]:
    """Major and minor number of a kernel's release; (0, 0) where there are none."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def privileges() -> Privileges:
    """Reads them of the calling process."""
    return Privileges(
        root=os.geteuid() == 0,
        missing=look(_without, "CapEff"),
        unattainable=look(_without, "CapBnd"),
        cpus=tuple(sorted(os.sched_getaffinity(0))),
    )


def _has_af_xdp() -> bool:
    """By the list of socket families' protocols: to try a socket wants privileges."""
    lines = text("/proc/net/protocols").splitlines()
    return any(line.startswith("XDP ") for line in lines)


def _sysctl(name: str) -> Fact[int]:
    path = Path("/proc/sys/net/core") / name
    if not path.exists():
        return Unknown("net.core.bpf_* are shown in the machine's first network namespace only")
    return look(number, path)


def _lockdown() -> Fact[str]:
    path = Path("/sys/kernel/security/lockdown")
    if not path.exists():
        return None
    found = look(text, path)
    # "none [integrity] confidentiality": the one in use is in brackets.
    return found.partition("[")[2].partition("]")[0] if isinstance(found, str) else found


def _bcc_version() -> Fact[str]:
    try:
        done = subprocess.run(
            _BCC,
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
    """What ``bpf.compile.header_tree`` links."""
    include = Path("/usr/include")
    asm = (include / f"{platform.machine()}-linux-gnu" / "asm", include / "asm")
    return (include / "linux").is_dir() and any(path.is_dir() for path in asm)


def _without(which: str) -> tuple[str, ...]:
    lines = dict(line.split(":\t", 1) for line in text("/proc/self/status").splitlines())
    held = int(lines[which], 16)
    return tuple(str(capability) for capability in NEEDED if not held >> capability & 1)
