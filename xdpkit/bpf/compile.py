"""The short-lived child that runs bcc: ``python -m xdpkit.bpf.compile SOCKET_FD PROGRAM``.

bcc brings LLVM into its process, some 100 MB that a long-lived, memory-locked server must not
carry. This process compiles and loads ``ebpf/PROGRAM.c``, sends the descriptors of the program and
its maps over the inherited socket (SCM_RIGHTS) with a JSON reply, and ends.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def load(name: str) -> tuple[list[int], list[str]]:
    """Compiles and loads ``ebpf/NAME.c``; returns descriptors: the program's, then each map's.

    The second list names the maps. bcc raises bare Exception, so this is the one place that
    catches it; the words of LLVM and the verifier have gone to standard error by then.
    """
    from bcc import BPF

    with tempfile.TemporaryDirectory(prefix="xdpkit-bcc-") as tree:
        header_tree(Path(tree))
        os.environ["BCC_KERNEL_SOURCE"] = tree
        source = EBPF / f"{name}.c"
        bpf = BPF(src_file=str(source), cflags=["-DXDPKIT_BCC", f"-I{EBPF}", "-Wall"])
        program = bpf.load_func(name, BPF.XDP)
    # bcc's table lookup finds maps by name only: the names that steer.c and catch.c declare.
    maps: dict[str, Any] = {}
    for table in ("xsks", "services", "verdicts", "ports"):
        try:
            maps[table] = bpf[table]
        except KeyError:
            continue
    # The descriptors must outlive the BPF object: it closes its own when it is collected.
    fds = [os.dup(fd) for fd in (program.fd, *(table.map_fd for table in maps.values()))]
    return fds, list(maps)


def main(argv: list[str]) -> int:
    """Answers over the socket: ``{"maps": [...]}`` with descriptors, or ``{"error", "log"}``."""
    reply = socket.socket(fileno=int(argv[0]))
    with tempfile.TemporaryFile() as log:
        # LLVM and libbpf write to descriptor 2 from C; only a descriptor swap catches it.
        os.dup2(log.fileno(), 2)
        fds: list[int] = []
        try:
            fds, names = load(argv[1])
            answer: dict[str, Any] = {"maps": names}
        except ImportError as error:
            answer = {"error": "no-bcc", "log": str(error)}
        except FileNotFoundError as error:
            answer = {"error": "no-headers", "log": str(error)}
        except Exception as error:
            log.seek(0)
            words = log.read().decode("utf-8", "replace")[-LOG_LIMIT:]
            answer = {"error": "refused", "log": f"{error}\n{words}"}
        socket.send_fds(reply, [json.dumps(answer).encode()], fds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
