"""The daemon's side of zone compilation: starts the child and owns the arena that it made."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import anyio.abc

from xdpkit.closing import Closing
from xdpkit.dns.compile import SEALS
from xdpkit.dns.view import View
from xdpkit.dns.zone import text
from xdpkit.errors import XdpkitError, ZoneError

LINE_MAX = 1 << 16
"""Bytes of one line of the child; a longer one is no report of ours."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the compiler is: with ``zone``, or with the last one if ``done``."""

    zone: str
    records: int
    done: bool


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """What is known of a compiled zone."""

    serial: int
    names: int
    """Owner names in the master file."""


class Arena(Closing):
    """The compiled zones, a sealed memfd. Close it when no snapshot is made from it any more.

    Map it with MAP_PRIVATE: kernels before 6.7 refuse MAP_SHARED of a write-sealed memfd.
    """

    def __init__(self, fd: int) -> None:
        """Owns ``fd`` from here on, also if it raises ValueError: not sealed, or damaged."""
        self.fd = fd
        try:
            if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS != SEALS:
                raise ValueError("the arena is not sealed")
            self.size = os.fstat(fd).st_size
            with mmap.mmap(fd, self.size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as data:
                zones = {text(name): ZoneInfo(*known) for name, *known in View(data).zones()}
        except BaseException:
            self.close()
            raise
        self.zones: Mapping[str, ZoneInfo] = MappingProxyType(dict(sorted(zones.items())))

    def close(self) -> None:
        """Closes the file; mappings made from it stay. A second call does nothing."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


async def compile_zones(
    directory: Path, progress: Callable[[Progress], None] | None = None
) -> Arena:
    """Compiles every zone of a directory in a child process; the caller owns the Arena.

    Raises ZoneError as the child found it, with file and line, and XdpkitError if the child died.
    Cancelling kills the child.
    """
    # Ordinary pages: huge ones must have been set aside, and the path must not depend on that.
    fd = os.memfd_create("xdpkit-zones", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        await _run(fd, directory, progress)
    except BaseException:
        os.close(fd)
        raise
    try:
        return Arena(fd)
    except (OSError, ValueError) as error:
        raise XdpkitError(f"the zone compiler left no usable arena: {error}") from error


async def _run(fd: int, directory: Path, progress: Callable[[Progress], None] | None) -> None:
    # -P: the working directory may hold an xdpkit or a json of its own.
    command = [sys.executable, "-P", "-m", "xdpkit.dns.compile", "--fd", str(fd), str(directory)]
    process = await anyio.open_process(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, pass_fds=(fd,)
    )
    try:
        last = await _read(process, progress)
        status = await process.wait()
    except BaseException:
        process.kill()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await process.aclose()
    if isinstance(last, dict) and "error" in last:
        raise ZoneError(str(last["path"]), str(last["error"]), last["line"])
    if status or not isinstance(last, dict) or "size" not in last:
        said = last if isinstance(last, str) else "nothing"
        raise XdpkitError(f"the zone compiler ended with status {status}; its last words: {said}")


async def _read(
    process: anyio.abc.Process, progress: Callable[[Progress], None] | None
) -> dict[str, Any] | str | None:
    """Reads the child's lines to their end; gives the last: an object, or text if it was none."""
    last: dict[str, Any] | str | None = None
    rest = b""
    assert process.stdout is not None  # it is a pipe: open_process()'s default
    async for chunk in process.stdout:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-LINE_MAX:]
        for line in lines:
            try:
                said = json.loads(line)
            except ValueError:
                said = None
            if not isinstance(said, dict):  # an interpreter's trace
                last = line.decode(errors="replace") or last
                continue
            last = said
            if progress is not None and "zone" in said:
                done = "names" in said
                progress(Progress(said["zone"], said["names" if done else "records"], done))
    return last
