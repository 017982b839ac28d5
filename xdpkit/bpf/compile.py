"""The short-lived child that runs bcc.

    python -m xdpkit.bpf.compile SOCKET_FD PROGRAM IFINDEX [MACRO ...]

bcc brings LLVM into its process, some 100 MB that a long-lived, memory-locked server must not
carry. This process compiles ``ebpf/PROGRAM.c`` with the macros defined and loads it, bound to the
interface unless IFINDEX is 0. It sends the descriptors of the program and its maps over the
inherited socket (SCM_RIGHTS) with a JSON reply, and ends.
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

EBPF = Path(__file__).resolve().parent.parent / "ebpf"
UAPI = Path("/usr/include")

# Errors go home in the reply; one datagram carries this much of the compiler's or verifier's words.
LOG_LIMIT = 60_000


def header_tree(root: Path) -> None:
    """Puts together what BCC_KERNEL_SOURCE wants: our stubs, the system's UAPI headers linked in.

    Raises FileNotFoundError where the UAPI headers (linux-libc-dev) are not installed.
    """
    include = root / "include"
    for stub in (EBPF / "include").rglob("*.h"):
        target = include / stub.relative_to(EBPF / "include")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(stub)
    triplet = f"{platform.machine()}-linux-gnu"
    # Debian keeps asm/ in the multiarch directory, others beside linux/.
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
    """No program bound to the interface can be had here; the text says why, ``log`` in full."""

    def __init__(self, reason: str, log: str = "") -> None:
        super().__init__(reason)
        self.log = log


def load(name: str, ifindex: int, macros: Sequence[str]) -> tuple[list[int], list[str]]:
    """Compiles and loads ``ebpf/NAME.c``; returns descriptors: the program's, then each map's.

    The second list names the maps. bcc raises bare Exception, so this is the one place that
    catches it; the words of LLVM and the verifier have gone to standard error by then.
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
    # bcc's table lookup finds maps by name only: the names that steer.c and catch.c declare.
    maps: dict[str, Any] = {}
    for table in ("xsks", "services", "verdicts", "ports"):
        try:
            maps[table] = bpf[table]
        except KeyError:
            continue
    # The descriptors must outlive the BPF object: it closes its own when it is collected.
    return [program, *(os.dup(table.map_fd) for table in maps.values())], list(maps)


def load_bound(code: bytes, name: str, ifindex: int) -> int:
    """Loads what bcc compiled, with the kernel's receive stamp in it; raises NotBoundError."""
    function = "bpf_xdp_metadata_rx_timestamp"
    try:
        number = btf.function_id(btf.VMLINUX.read_bytes(), function)
    except LookupError as error:
        raise NotBoundError(f"this kernel has no {function}, as 6.3 and later have") from error
    except (OSError, ValueError) as error:
        raise NotBoundError(f"the kernel's BTF ({btf.VMLINUX}) cannot be read: {error}") from error
    try:
        return _bpf.prog_load(kfunc.call_kfunc(code, RX_TIMESTAMP_CALL, number), name, ifindex)
    except _bpf.VerifierError as error:
        reason = f"the kernel refused a program bound to the interface ({error.strerror})"
        raise NotBoundError(reason, error.log) from error


def main(argv: list[str]) -> int:
    """Answers over the socket: ``{"maps": [...]}`` with descriptors, or ``{"error", "log"}``."""
    reply = socket.socket(fileno=int(argv[0]))
    with tempfile.TemporaryFile() as log:
        # LLVM and libbpf write to descriptor 2 from C; only a descriptor swap catches it.
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
            words = log.read().decode("utf-8", "replace")[-LOG_LIMIT:]
            answer = {"error": "refused", "log": f"{error}\n{words}"}
        socket.send_fds(reply, [json.dumps(answer).encode()], fds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
