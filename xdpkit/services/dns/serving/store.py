"""The daemon's side of zone compilation: takes the arena that is kept, or has a child make one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.to_thread

from xdpkit._core._snapshot import ZoneMap
from xdpkit.errors import XdpkitError, ZoneError
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena_file import ArenaFile, Stale
from xdpkit.services.dns.compiler.compile import BEHIND
from xdpkit.services.dns.compiler.sources import still
from xdpkit.services.dns.zonefile.zone import text

LINE_MAX = 1 << 16
"""Bytes of one line of the child; a longer one is no report of ours."""

log = logging.getLogger("xdpkit")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the compiler is: with ``zone``, or with the last one if ``done``."""

    zone: str
    records: int
    """Read so far, or owner names if ``done``."""
    done: bool
    share: float = 0.0
    """Of all the work, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """What is known of a compiled zone."""

    serial: int
    names: int
    """Owner names in the master file."""


class Arena:
    """The compiled zones in memory, and how they came there."""

    def __init__(self, file: ArenaFile, origin: str, seconds: float, unkept: str = "") -> None:
        self.map: ZoneMap = file.zones
        self.size = file.zones.size
        self.sources = file.sources
        self.origin = origin
        """compiled or cache."""
        self.seconds = seconds
        """That it took."""
        self.unkept = unkept
        """Why the cache file could not be written; empty if it was, or should not be."""
        zones = {text(name): ZoneInfo(*known) for name, *known in file.view.zones()}
        self.zones: Mapping[str, ZoneInfo] = MappingProxyType(dict(sorted(zones.items())))

    @property
    def names(self) -> int:
        """Owner names of all zones."""
        return sum(zone.names for zone in self.zones.values())


async def load_zones(
    directory: Path,
    cache: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    behind: bool = False,
) -> Arena:
    """The arena of a directory's zones: the one that is kept in ``cache`` if it is theirs still.

    Otherwise they are compiled, and the cache is written; ``behind`` those who answer meanwhile.
    Raises as compile_zones() does.
    """
    if cache is None:
        return await compile_zones(directory, progress, behind=behind)
    path = arena_file.cache_file(cache, directory)
    kept = await in_thread(lambda: kept_arena(path, directory), behind)
    return kept or await compile_zones(directory, progress, path, behind)


def kept_arena(path: Path, directory: Path) -> Arena | None:
    """The arena in a cache file if it belongs to the directory as it is; a damaged one is told."""
    started = time.monotonic()
    try:
        fd = arena_file.open_kept(path)
        try:
            size, sources = arena_file.read_sources(fd)
            now = still(sources, directory)
            if now is None:
                return None
            file = arena_file.read_arena(fd, size, now)
        finally:
            os.close(fd)
        return Arena(file, "cache", time.monotonic() - started)
    except (FileNotFoundError, NotADirectoryError, Stale):
        return None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        log.warning("%s is not used: %s; the zones are compiled anew", path, reason)
        return None


async def in_thread(work: Callable[[], T], behind: bool) -> T:
    """Does blocking work ``behind`` those who answer, in a thread; without them, here.

    A thread that is made before the rights of set-up are given up would keep them (privileges.py).
    """
    if not behind:
        return work()

    def lowered() -> T:
        thread = threading.get_native_id()
        before = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(before, BEHIND))
        try:
            return work()
        finally:
            # The thread is lent out again. Without CAP_SYS_NICE it stays as it is.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, before)

    return await anyio.to_thread.run_sync(lowered)


async def compile_zones(
    directory: Path,
    progress: Callable[[Progress], None] | None = None,
    keep: Path | None = None,
    behind: bool = False,
) -> Arena:
    """Compiles every zone of a directory in a child process, which also writes the file ``keep``.

    ``behind`` leaves the CPU to those who answer.
    Raises ZoneError as the child found it, with file and line, and XdpkitError if the child died.
    Cancelling kills the child.
    """
    started = time.monotonic()
    fd = os.memfd_create("xdpkit-zones", os.MFD_CLOEXEC)
    try:
        options = ["--fd", str(fd), *(["--cache", str(keep)] if keep else [])]
        options += ["--behind"] * behind
        unkept = await _run(fd, [*options, str(directory)], progress)
        try:
            file = await in_thread(lambda: _made(fd), behind)
        except (OSError, ValueError, MemoryError) as error:
            raise XdpkitError(f"the zone compiler left no usable arena: {error}") from error
    finally:
        os.close(fd)
    return Arena(file, "compiled", time.monotonic() - started, unkept)


def _made(fd: int) -> ArenaFile:
    # After an upgrade the child is newer than we are: an arena of the same format will do.
    return arena_file.read_arena(fd, *arena_file.read_sources(fd, ours=False))


async def _run(fd: int, options: list[str], progress: Callable[[Progress], None] | None) -> str:
    """Has the child write into ``fd``; returns why its cache could not be written, if so."""
    # -P: the working directory may hold an xdpkit or a json of its own.
    command = [sys.executable, "-P", "-m", "xdpkit.services.dns.compiler.compile", *options]
    process = await anyio.open_process(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, pass_fds=(fd,)
    )
    unkept = ""

    def take(said: dict[str, Any]) -> None:
        nonlocal unkept
        unkept = said.get("unkept", unkept)
        if progress is not None and "zone" in said:
            done = "names" in said
            records = said["names" if done else "records"]
            progress(Progress(said["zone"], records, done, said["share"]))

    try:
        last = await _read(process, take)
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
    return unkept


async def _read(
    process: anyio.abc.Process, take: Callable[[dict[str, Any]], None]
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
            take(said)
    return last
