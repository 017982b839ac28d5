"""The short-lived child process that runs bcc.

    python -m xdpkit.bpf.compile SOCKET_FD PROGRAM IFINDEX [MACRO ...]

bcc loads LLVM into its process: some 100 MB that a long-running server with locked memory must not
carry. This process compiles ``ebpf/PROGRAM.c`` with the macros defined and loads it, bound to the
interface unless IFINDEX is 0. It sends the descriptors of the program and its maps (SCM_RIGHTS)
with a JSON reply over the socket that its parent left open for it, and exits.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdpkit._core import _bpf
from xdpkit._core._stats import RX_TIMESTAMP_CALL
from xdpkit.bpf import btf, kfunc

# Not resolved: by the descriptor in its path it is found without the right to go there (child.py).
EBPF = Path(__file__).parent.parent / "ebpf"
UAPI = Path("/usr/include")

# The reply carries at most this much of the compiler's or verifier's log: it is one datagram.
LOG_LIMIT = 60_000


def header_tree(root: Path) -> None:
    """Builds the tree that BCC_KERNEL_SOURCE names: our stubs and links to the UAPI headers.

    Raises FileNotFoundError when the UAPI headers (linux-libc-dev) are not installed.
    """
    include = root / "include"
    for stub in (EBPF / "include").rglob("*.h"):
        target = include / stub.relative_to(EBPF / "include")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(stub)
    triplet = f"{platform.machine()}-linux-gnu"
    # Debian has asm/ in the multiarch directory, other distributions next to linux/.
    asm = next(p for p in (UAPI / triplet / "asm", UAPI / "asm", None) if p is None or p.is_dir())
    if asm is None or not (UAPI / "linux").is_dir():
        raise FileNotFoundError(f"{UAPI}/linux and asm")
    for name, origin in (("asm", asm), ("asm-generic", UAPI / "asm-generic")):
        (include / "uapi" / name).symlink_to(origin)
    for origin in (UAPI / "linux").iterdir():
        target = include / "uapi" / "linux" / origin.name
        if not target.exists():
            target.symlink_to(origin)


class NotBoundError(Exception):
    """No program can be bound to the interface; the message says why, ``log`` in detail."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


def load(name: str, ifindex: int, macros: Sequence[str]) -> tuple[list[int], list[str]]:
    """Compiles and loads ``ebpf/NAME.c``; returns descriptors: the program's, then each map's.

    The second list names the maps. bcc raises bare Exception, which ``main`` catches; by then LLVM
    and the verifier have written their messages to standard error.
    """
    from bcc import BPF

    with tempfile.TemporaryDirectory(prefix="xdpkit-bcc-") as tree:
        header_tree(Path(tree))
        os.environ["BCC_KERNEL_SOURCE"] = tree
        source = EBPF / f"{name}.c"
        defined = [f"-D{macro}" for macro in ("XDPKIT_BCC", *macros)]
        bpf = BPF(src_file=str(source), cflags=[*defined, f"-I{EBPF}", "-Wall"])
        if ifindex:
            program = load_bound(bpf.dump_func(name), name, ifindex)
        else:
            program = os.dup(bpf.load_func(name, BPF.XDP).fd)
    # bcc finds maps by name only: these are the ones that steer.c and catch.c declare.
    maps: dict[str, Any] = {}
    for table in ("xsks", "services", "verdicts", "ports"):
        try:
            maps[table] = bpf[table]
        except KeyError:
            continue
    # Duplicates: the BPF object closes its own descriptors when it is garbage collected.
    return [program, *(os.dup(table.map_fd) for table in maps.values())], list(maps)


def load_bound(code: bytes, name: str, ifindex: int) -> int:
    """Loads the compiled code with calls of the kernel's receive stamp; raises NotBoundError."""
    function = "bpf_xdp_metadata_rx_timestamp"
    try:
        number = btf.function_id(btf.VMLINUX.read_bytes(), function)
    except LookupError as error:
        raise NotBoundError(
            f"this kernel has no {function}: Linux 6.3 or later is needed"
        ) from error
    except (OSError, ValueError) as error:
        raise NotBoundError(f"the kernel's BTF ({btf.VMLINUX}) cannot be read: {error}") from error
    try:
        return _bpf.prog_load(kfunc.call_kfunc(code, RX_TIMESTAMP_CALL, number), name, ifindex)
    except _bpf.VerifierError as error:
        reason = f"the kernel rejected a program bound to the interface ({error.strerror})"
        raise NotBoundError(reason, error.log) from error


def main(argv: list[str]) -> int:
    """Replies over the socket: ``{"maps": [...]}`` with descriptors, or ``{"error", "log"}``."""
    reply = socket.socket(fileno=int(argv[0]))
    with tempfile.TemporaryFile() as log:
        # LLVM and libbpf write to descriptor 2 from C: only replacing it captures that.
        os.dup2(log.fileno(), 2)
        fds: list[int] = []
        try:
            fds, names = load(argv[1], int(argv[2]), argv[3:])
            answer: dict[str, Any] = {"maps": names}
        except ImportError as error:
            answer = {"error": "no-bcc", "log": str(error)}
        except FileNotFoundError as error:
            answer = {"error": "no-headers", "log": str(error)}
        except NotBoundError as error:
            answer = {"error": "not-bound", "log": f"{error}\n{error.log[-LOG_LIMIT:]}"}
        except Exception as error:
            log.seek(0)
            output = log.read().decode("utf-8", "replace")[-LOG_LIMIT:]
            answer = {"error": "refused", "log": f"{error}\n{output}"}
        socket.send_fds(reply, [json.dumps(answer).encode()], fds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
