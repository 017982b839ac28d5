"""The XDP program in the kernel, compiled by bcc or clang, and operations for tests."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from xdpkit._core import _bpf
from xdpkit._core._stats import (
    RX_TIMESTAMP_CALL,
    SERVICES,
    VERDICT_END,
    VERDICT_FIRST,
    VERDICT_SLOTS,
    VERDICTS,
)
from xdpkit.bpf import kfunc, loader
from xdpkit.config.address import parse_address
from xdpkit.dataplane.dataplane import possible_cpus, steer_key
from xdpkit.lab.namespaces import Side

EBPF = Path(loader.__file__).resolve().parent.parent / "ebpf"

# linux/bpf.h, enum xdp_action.
XDP_PASS, XDP_REDIRECT = 2, 4

# The NIC's stamp according to the "stamped" program: 31 bits, an instruction's immediate.
STAMP = 0x12345678
# *(u64 *)(r2 + 0) = STAMP, instead of the call to the kernel function that would write there.
STORE_STAMP = struct.pack("<BBhi", 0x7A, 0x02, 0, STAMP)
# r0 = -61, ENODATA: in a driver without stamps that function writes nothing.
NO_STAMP = struct.pack("<BBhi", 0xB7, 0x00, 0, -61)

# linux/sched.h and linux/mount.h.
CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 1 << 14 | 1 << 18


class SteerProgram:
    """A loaded program, its maps, and the interface its frames claim to arrive on."""

    def __init__(
        self, fd: int, maps: dict[str, int], side: Side, ifindex: int, hardware_stamp: int = 0
    ) -> None:
        self.fd, self.maps, self.side, self.ifindex = fd, maps, side, ifindex
        self.hardware_stamp = hardware_stamp

    def serve(self, address: str, port: int, service: str) -> None:
        """Assigns ``address`` (with "@TAG" or "@OUTER.INNER") and ``port`` to a service."""
        key = steer_key(parse_address(address), port)
        _bpf.map_update(self.maps["services"], key, struct.pack("=I", SERVICES[service]))

    def stop_serving(self, address: str, port: int) -> None:
        """Removes what ``serve`` added."""
        _bpf.map_delete(self.maps["services"], steer_key(parse_address(address), port))

    def set_socket(self, queue: int, fd: int | None) -> None:
        """Puts an AF_XDP socket into the XSKMAP, or removes it."""
        slot = struct.pack("=I", queue)
        if fd is None:
            _bpf.map_delete(self.maps["xsks"], slot)
        else:
            _bpf.map_update(self.maps["xsks"], slot, struct.pack("=I", fd))

    def counters(self, queue: int) -> dict[str, int]:
        """This queue's verdict counts so far, by name, without zeros."""
        counts = {}
        size = 8 * possible_cpus()
        for verdict in range(VERDICT_END):
            slot = struct.pack("=I", queue * VERDICT_SLOTS + VERDICT_FIRST + verdict)
            raw = _bpf.map_lookup(self.maps["verdicts"], slot, size)
            if count := sum(struct.unpack(f"={size // 8}Q", raw)):
                counts[VERDICTS[verdict].name] = count
        return counts

    def run(self, frame: bytes, queue: int = 0, metadata: bytes = b"") -> tuple[int, bytes, bytes]:
        """Action, metadata and frame after a test run on this side's interface."""
        with self.side.entered():
            return _bpf.prog_run(self.fd, frame, self.ifindex, queue, metadata)

    def verdict(self, frame: bytes, queue: int = 0) -> str:
        """The one verdict counted for a frame; the frame must be unchanged."""
        before = [self.counters(q) for q in range(4)]
        action, metadata, after = self.run(frame, queue)
        [name] = counts_added(before, [self.counters(q) for q in range(4)], queue)
        assert after == frame
        assert action == (XDP_REDIRECT if name == "redirected" else XDP_PASS)
        assert len(metadata) == (16 if name == "redirected" else 0)
        return name


def counts_added(
    before: list[dict[str, int]], after: list[dict[str, int]], queue: int
) -> dict[str, int]:
    """What was added to the counters of ``queue``; those of other queues must not have changed."""
    for other in range(len(before)):
        if other != queue:
            assert after[other] == before[other]
    added = {name: n - before[queue].get(name, 0) for name, n in after[queue].items()}
    return {name: n for name, n in added.items() if n}


def load_with_bcc() -> tuple[int, dict[str, int]]:
    """Loads it as the product does."""
    program = loader.load("steer")
    return program.fd, program.maps


def load_with_clang(call: bytes = b"") -> tuple[int, dict[str, int]]:
    """The same source through ``clang -target bpf`` and bpftool.

    With ``call`` it is the variant that reads the NIC's stamp, with this instruction instead of the
    call. bpftool passes the program on as pins in a bpffs, which is mounted in a mount namespace
    that only one thread is in, and disappears with the thread.
    """
    with tempfile.TemporaryDirectory(prefix="xdpkit-test-") as directory:
        obj = Path(directory, "steer.o")
        triplet = subprocess.check_output(["gcc", "-print-multiarch"], text=True).strip()
        flags = ["-O2", "-g", "-target", "bpf", "-Wall", "-Werror", f"-I/usr/include/{triplet}"]
        if call:
            flags.append("-DSTEER_RX_TIMESTAMP")
        subprocess.run(
            ["clang", *flags, "-c", str(EBPF / "steer.c"), "-o", str(obj)], check=True, cwd=EBPF
        )
        if call:
            obj.write_bytes(kfunc.replace_call(obj.read_bytes(), RX_TIMESTAMP_CALL, call))
        mounted = Path(directory, "bpf")
        mounted.mkdir()
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_load_pinned, obj, mounted).result()


def load_stamped() -> tuple[int, dict[str, int]]:
    """The variant that reads the NIC's stamp, with a constant instead of the call.

    BPF_PROG_TEST_RUN does not accept a program that is bound to a device.
    """
    return load_with_clang(STORE_STAMP)


def _load_pinned(obj: Path, mounted: Path) -> tuple[int, dict[str, int]]:
    libc = ctypes.CDLL(None, use_errno=True)
    libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
    _check(libc.unshare(CLONE_NEWNS))
    _check(libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None))
    _check(libc.mount(b"bpf", os.fsencode(mounted), b"bpf", 0, None))
    pin, maps = mounted / "steer", mounted / "maps"
    command = ["bpftool", "prog", "load", str(obj), str(pin), "type", "xdp", "pinmaps", str(maps)]
    subprocess.run(command, check=True)
    names = ("xsks", "services", "verdicts")
    opened = [libbpf.bpf_obj_get(os.fsencode(path)) for path in (pin, *(maps / n for n in names))]
    for fd in opened:
        _check(fd)
    return opened[0], dict(zip(names, opened[1:], strict=True))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


LOADERS: dict[str, Callable[[], tuple[int, dict[str, int]]]] = {
    "bcc": load_with_bcc,
    "clang": load_with_clang,
    "stamped": load_stamped,
}
