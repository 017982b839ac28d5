"""A file system that does not answer, such as NFS without its server: FUSE with nobody behind it.

    hung_fs.py DIRECTORY [swallow]

mounts it over a directory and waits for the end of its standard input, which is also the end of the
file system. Whoever asks it for anything waits until then: in a way that a signal that kills can
end, or with ``swallow`` (the request was taken, and is never answered) in one that nothing can.
"""

from __future__ import annotations

import ctypes
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# linux include/uapi/linux/fuse.h: struct fuse_in_header, fuse_out_header, fuse_init_out.
IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
INIT_OUT = struct.Struct("<IIIIHHIIHH28x")
FUSE_INIT = 26
VERSION = 7, 31

# linux include/uapi/linux/mount.h.
MNT_DETACH = 2


@contextmanager
def hung(directory: Path, pid: int, swallow: bool = False) -> Iterator[None]:
    """In the block, nothing in this directory answers the process and who shares its mounts."""
    command = ["nsenter", "--target", str(pid), "--mount", sys.executable, "-I", __file__]
    command += [str(directory), *["swallow"] * swallow]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "mounted\n"
            yield
        finally:
            try:
                process.communicate(timeout=10)
            finally:
                process.kill()


def main(directory: str, swallow: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other"
    if libc.mount(b"hung", os.fsencode(directory), b"fuse.hung", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    print("mounted", flush=True)
    watched = [sys.stdin, fuse] if swallow else [sys.stdin]
    while sys.stdin not in (ready := select.select(watched, [], [])[0]):
        assert ready
        _, operation, unique, *_ = IN_HEADER.unpack_from(os.read(fuse, 1 << 20))
        if operation == FUSE_INIT:
            facts = INIT_OUT.pack(*VERSION, 0, 0, 12, 9, 1 << 16, 1, 0, 0)
            os.write(fuse, OUT_HEADER.pack(OUT_HEADER.size + len(facts), 0, unique) + facts)
    libc.umount2(os.fsencode(directory), MNT_DETACH)


if __name__ == "__main__":
    main(sys.argv[1], "swallow" in sys.argv[2:])
