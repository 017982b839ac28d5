"""Checks of the kernel, the BPF compiler and privileges."""

from __future__ import annotations

from collections.abc import Iterator

from xdpkit.doctor.finding import Check, Finding, Wanted, shell_name
from xdpkit.doctor.probe import ProbeFacts
from xdpkit.doctor.quirks import NEWER_KERNEL
from xdpkit.nic.fact import Unknown, value_of
from xdpkit.runtime.privileges import NEEDED

# bpf_ktime_get_tai_ns, which timestamps packets in ebpf/steer.c.
OLDEST_KERNEL = (6, 1)


def _kernel(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    kernel = facts.kernel
    if kernel.version < OLDEST_KERNEL:
        yield Finding(
            "kernel-old",
            "blocks",
            f"kernel {kernel.release} is older than 6.1",
            "the verifier rejects the XDP program: it timestamps packets in TAI",
            NEWER_KERNEL,
            "https://docs.ebpf.io/linux/helper-function/bpf_ktime_get_tai_ns/",
        )
    if kernel.af_xdp is False:
        yield Finding(
            "kernel-no-af-xdp",
            "blocks",
            "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)",
            "packets cannot bypass the kernel's network stack",
            NEWER_KERNEL,
        )


def _jit(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    kernel = facts.kernel
    if kernel.jit == 0:
        yield Finding(
            "jit-off",
            "costs",
            "BPF programs are interpreted (bpf_jit_enable = 0)",
            "every packet of the interface takes several times as long in the XDP program",
            "sysctl -w net.core.bpf_jit_enable=1",
        )
    if kernel.jit_harden == 2:
        yield Finding(
            "jit-harden",
            "costs",
            "constants of root's BPF programs are blinded (bpf_jit_harden = 2)",
            "the XDP program is longer than it needs to be; 1 hardens other users' programs only",
            "sysctl -w net.core.bpf_jit_harden=1",
        )
    if kernel.lockdown == "confidentiality":
        yield Finding(
            "lockdown",
            "note",
            "kernel lockdown is in confidentiality mode",
            "BPF programs cannot read kernel memory; ours does not, but tracing tools fail",
            "cat /sys/kernel/security/lockdown",
        )


def _compiler(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    if facts.kernel.bcc is None:
        yield Finding(
            "bcc-missing",
            "blocks",
            "this Python has no bcc (PyPI's bcc is an unrelated package)",
            "the XDP program cannot be compiled",
            "apt-get install python3-bpfcc",
        )
    if isinstance(facts.kernel.bcc, Unknown):
        yield Finding(
            "bcc-broken",
            "blocks",
            f"bcc is installed but does not load ({facts.kernel.bcc.reason})",
            "the XDP program cannot be compiled",
            "apt-get install --reinstall python3-bpfcc libbpfcc",
        )
    if not facts.kernel.headers:
        yield Finding(
            "headers-missing",
            "blocks",
            "the kernel's user-space headers are not installed",
            "bcc cannot compile the XDP program",
            "apt-get install linux-libc-dev",
        )


def _capabilities(facts: ProbeFacts, wanted: Wanted) -> Iterator[Finding]:
    never = value_of(facts.privileges.unattainable) or ()
    if lost := [name for name in never if name != "CAP_IPC_LOCK"]:
        add = " ".join(f"--cap-add {capability.name}" for capability in NEEDED)
        yield Finding(
            "capabilities-unattainable",
            "blocks",
            f"even root lacks {', '.join(lost)} here",
            "a container or unit dropped them: 'xdpkit run' will fail",
            f"docker run --network host {add} IMAGE",
        )
    elif missing := value_of(facts.privileges.missing):
        yield Finding(
            "capabilities-missing",
            "note",
            f"this user lacks {', '.join(missing)}",
            "some facts remain unknown, and 'xdpkit run' needs them",
            f"sudo xdpkit doctor {shell_name(facts)}",
        )


CHECKS = (
    Check(_kernel, "kernel", ("kernel.af_xdp",)),
    Check(_jit, "BPF is compiled", ("kernel.jit",)),
    Check(_compiler, "bcc", ("kernel.bcc",)),
    Check(_capabilities, "privileges", ("privileges.missing",)),
)
