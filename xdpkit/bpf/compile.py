"""The short-lived child process that runs bcc.

    python -m xdpkit.bpf.compile SOCKET_FD PROGRAM IFINDEX [MACRO ...]

bcc loads LLVM into its process: some 100 MB that a long-running server with locked memory must not
carry. This process compiles ``ebpf/PROGRAM.c`` with the macros defined and loads it, bound to the
interface unless IFINDEX is 0. It sends the descriptors of the program and its maps (SCM_RIGHTS)
with a JSON reply over the socket that its parent left open for it, and exits. LLVM and libbcc write
to standard error, from C: a file of the parent, which has it even if this process is killed.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from xdpkit._core import _bpf
from xdpkit._core._stats import RX_TIMESTAMP_CALL
from xdpkit.bpf import btf, kfunc
from xdpkit.bpf.refusal import LOG_LIMIT, Refusal, compile_failure, import_failure, load_failure
from xdpkit.runtime import privileges
from xdpkit.runtime.reasons import failed

# Not resolved: by the descriptor in its path it is found without the right to go there (child.py).
EBPF = Path(__file__).parent.parent / "ebpf"
UAPI = Path("/usr/include")


def header_tree(root: Path) -> None:
    """Builds the tree that BCC_KERNEL_SOURCE names: our stubs and links to the UAPI headers.

    Raises Refusal when the UAPI headers (linux-libc-dev) are not installed, and OSError.
    """
    include = root / "include"
    (include / "uapi").mkdir(parents=True)
    for stub in (EBPF / "include").rglob("*.h"):
        target = include / stub.relative_to(EBPF / "include")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(stub)
    triplet = f"{platform.machine()}-linux-gnu"
    # Debian has asm/ in the multiarch directory, other distributions next to linux/.
    asm = next(p for p in (UAPI / triplet / "asm", UAPI / "asm", None) if p is None or p.is_dir())
    if asm is None or not (UAPI / "linux").is_dir():
        raise Refusal(f"no UAPI headers at {UAPI}/linux and asm: apt-get install linux-libc-dev")
    # Three links, not one for each of 500 headers: that took longer than compiling.
    for name, origin in (
        ("asm", asm),
        ("asm-generic", UAPI / "asm-generic"),
        ("linux", UAPI / "linux"),
    ):
        (include / "uapi" / name).symlink_to(origin)


@contextmanager
def temporary_headers() -> Iterator[Path]:
    """A header tree for the time of one compilation. Raises Refusal."""
    with ExitStack() as stack:
        try:
            tree = stack.enter_context(tempfile.TemporaryDirectory(prefix="xdpkit-bcc-"))
            header_tree(Path(tree))
        except OSError as error:
            what = "the headers for bcc could not be put into a temporary directory"
            # Without a file, it is Python's list of the directories that it tried.
            text = failed(what, error) if error.filename else f"{what}: {error.strerror}"
            raise Refusal(text) from error
        yield Path(tree)


def load(name: str, ifindex: int, macros: Sequence[str]) -> tuple[list[int], list[str]]:
    """Compiles and loads ``ebpf/NAME.c``; returns descriptors: the program's, then each map's.

    The second list names the maps. Raises Refusal, and OSError if a descriptor is not available.
    """
    try:
        from bcc import BPF
    except (ImportError, OSError, MemoryError) as error:
        raise Refusal(import_failure(error)) from error
    source = EBPF / f"{name}.c"
    with temporary_headers() as tree:
        os.environ["BCC_KERNEL_SOURCE"] = str(tree)
        defined = [f"-D{macro}" for macro in ("XDPKIT_BCC", *macros)]
        try:
            bpf = BPF(src_file=str(source), cflags=[*defined, f"-I{EBPF}", "-Wall"])
            code = bpf.dump_func(name)
        except OSError:
            raise
        except Exception as error:
            # bcc raises bare Exception: what it and clang know is on standard error.
            raise Refusal(compile_failure(source.name, error, output())) from error
    program = load_bound(code, name, ifindex) if ifindex else load_plain(bpf, code, name)
    # bcc finds maps by name only: these are the ones that steer.c and catch.c declare.
    maps: dict[str, Any] = {}
    for table in ("xsks", "services", "verdicts", "ports"):
        try:
            maps[table] = bpf[table]
        except KeyError:
            continue
    # Duplicates: the BPF object closes its own descriptors when it is garbage collected.
    return [program, *(os.dup(table.map_fd) for table in maps.values())], list(maps)


def load_plain(bpf: Any, code: bytes, name: str) -> int:
    """Loads with bcc, which adds BTF for other tools, or says why the kernel rejects the program.

    Raises Refusal.
    """
    try:
        loaded = bpf.load_func(name, bpf.XDP)
    except Exception:
        # Its text is a guess ("Need super-user privileges"): once more, for the errno and the log.
        try:
            return _bpf.prog_load(code, name)
        except _bpf.VerifierError as error:
            raise Refusal(load_failure(f"{name}.c", error), error.log[-LOG_LIMIT:]) from error
    return os.dup(loaded.fd)


def load_bound(code: bytes, name: str, ifindex: int) -> int:
    """Loads the compiled code with calls of the kernel's receive stamp. Raises Refusal."""
    function = "bpf_xdp_metadata_rx_timestamp"
    try:
        number = btf.function_id(btf.VMLINUX.read_bytes(), function)
    except LookupError as error:
        reason = f"this kernel has no {function}: Linux 6.3 or later is needed"
        raise Refusal(reason, bound=True) from error
    except (OSError, ValueError) as error:
        reason = f"the kernel's BTF ({btf.VMLINUX}) cannot be read: {error}"
        raise Refusal(reason, bound=True) from error
    try:
        return _bpf.prog_load(kfunc.call_kfunc(code, RX_TIMESTAMP_CALL, number), name, ifindex)
    except _bpf.VerifierError as error:
        reason = load_failure(f"{name}.c, bound to the interface", error)
        raise Refusal(reason, error.log[-LOG_LIMIT:], bound=True) from error


def output() -> str:
    """What LLVM and libbcc have written so far."""
    try:
        return os.pread(2, LOG_LIMIT, max(0, os.fstat(2).st_size - LOG_LIMIT)).decode(
            "utf-8", "replace"
        )
    except OSError:
        # A terminal: this was not started by loader.py.
        return ""


def main(argv: list[str]) -> int:
    """Replies over the socket: ``{"maps": [...]}`` with descriptors, or ``{"error", "log"}``."""
    reply = socket.socket(fileno=int(argv[0]))
    # It may have been started before its parent gave up the rights that it does not need.
    privileges.confine(privileges.COMPILER)
    # The temporary directory must be usable under any umask: root has no CAP_DAC_OVERRIDE here.
    os.umask(0o077)
    fds: list[int] = []
    answer: dict[str, Any]
    try:
        fds, names = load(argv[1], int(argv[2]), argv[3:])
        answer = {"maps": names}
    except Refusal as error:
        answer = {"error": str(error), "log": error.log, "bound": error.bound}
    except OSError as error:
        what = "the XDP program could not be compiled and loaded"
        answer = {"error": failed(what, error), "log": ""}
    socket.send_fds(reply, [json.dumps(answer).encode()], fds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
