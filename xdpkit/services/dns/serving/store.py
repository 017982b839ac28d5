"""The daemon's side of zone compilation: reads the cached arena, or has a child compile one."""

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
from xdpkit.services.dns.compiler.compile import BACKGROUND_NICE
from xdpkit.services.dns.zonefile.sources import unchanged
from xdpkit.services.dns.zonefile.zone import name_text

LINE_MAX = 1 << 16
"""The most bytes of one line of the child; a longer one is not one of our reports."""

log = logging.getLogger("xdpkit")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of the compiler in ``zone``, or that it is ``done`` with it."""

    zone: str
    records: int
    """Records read so far, or owner names if ``done``."""
    done: bool
    share: float = 0.0
    """Share of all the work, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """Facts about a compiled zone."""

    serial: int
    names: int
    """Owner names in the master file."""


class Arena:
    """The compiled zones in memory, and how they were loaded."""

    def __init__(self, file: ArenaFile, origin: str, seconds: float, cache_error: str = "") -> None:
        self.map: ZoneMap = file.zones
        self.size = file.zones.size
        self.sources = file.sources
        self.origin = origin
        """compiled or cache."""
        self.seconds = seconds
        """Duration of the load."""
        self.cache_error = cache_error
        """Why the cache file could not be written; empty on success or without a cache."""
        zones = {name_text(name): ZoneInfo(*known) for name, *known in file.view.zones()}
        self.zones: Mapping[str, ZoneInfo] = MappingProxyType(dict(sorted(zones.items())))

    @property
    def names(self) -> int:
        """Owner names of all zones."""
        return sum(zone.names for zone in self.zones.values())


async def load_zones(
    directory: Path,
    cache: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    background: bool = False,
) -> Arena:
    """The arena of a directory's zones: the one in ``cache`` if it is still current.

    Otherwise they are compiled, and the cache is written; with ``background``, at a lower priority
    than the answering threads. Raises like compile_zones().
    """
    if cache is None:
        return await compile_zones(directory, progress, background=background)
    path = arena_file.cache_file(cache, directory)
    cached = await in_thread(lambda: cached_arena(path, directory), background)
    return cached or await compile_zones(directory, progress, path, background)


def cached_arena(path: Path, directory: Path) -> Arena | None:
    """The arena in a cache file if it matches the directory; a damaged one is logged."""
    started = time.monotonic()
    try:
        fd = arena_file.open_cached(path)
        try:
            size, sources = arena_file.read_sources(fd)
            now = unchanged(sources, directory)
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
        log.warning("%s is not used: %s; compiling the zones again", path, reason)
        return None


async def in_thread(work: Callable[[], T], background: bool) -> T:
    """Does blocking work, in a low-priority thread with ``background``, otherwise right here.

    A thread created before the setup privileges are dropped would keep them (privileges.py).
    """
    if not background:
        return work()

    def lowered() -> T:
        thread = threading.get_native_id()
        before = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, max(before, BACKGROUND_NICE))
        try:
            return work()
        finally:
            # The thread pool reuses the thread. Without CAP_SYS_NICE its priority stays low.
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, thread, before)

    return await anyio.to_thread.run_sync(lowered)


async def compile_zones(
    directory: Path,
    progress: Callable[[Progress], None] | None = None,
    cache_path: Path | None = None,
    background: bool = False,
) -> Arena:
    """Compiles every zone of a directory in a child process, which also writes ``cache_path``.

    With ``background``, the child yields the CPU to the answering threads.
    Raises the child's ZoneError, with file and line, and XdpkitError if the child died.
    Cancelling kills the child.
    """
    started = time.monotonic()
    fd = os.memfd_create("xdpkit-zones", os.MFD_CLOEXEC)
    try:
        options = ["--fd", str(fd), *(["--cache", str(cache_path)] if cache_path else [])]
        options += ["--behind"] * background
        cache_error = await _run(fd, [*options, str(directory)], progress)
        try:
            file = await in_thread(lambda: _read_arena(fd), background)
        except (OSError, ValueError, MemoryError) as error:
            raise XdpkitError(f"the zone compiler produced no usable arena: {error}") from error
    finally:
        os.close(fd)
    return Arena(file, "compiled", time.monotonic() - started, cache_error)


def _read_arena(fd: int) -> ArenaFile:
    # After an upgrade the child is newer than this process: an arena of the same format will do.
    return arena_file.read_arena(fd, *arena_file.read_sources(fd, ours=False))


async def _run(fd: int, options: list[str], progress: Callable[[Progress], None] | None) -> str:
    """Has the child write into ``fd``; returns why it could not write its cache, or ""."""
    # -P: the working directory may contain an unrelated xdpkit or json module.
    command = [sys.executable, "-P", "-m", "xdpkit.services.dns.compiler.compile", *options]
    process = await anyio.open_process(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, pass_fds=(fd,)
    )
    cache_error = ""

    def take(line: dict[str, Any]) -> None:
        nonlocal cache_error
        cache_error = line.get("unkept", cache_error)
        if progress is not None and "zone" in line:
            done = "names" in line
            records = line["names" if done else "records"]
            progress(Progress(line["zone"], records, done, line["share"]))

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
        line = last if isinstance(last, str) else "nothing"
        raise XdpkitError(f"the zone compiler exited with status {status}; its last output: {line}")
    return cache_error


async def _read(
    process: anyio.abc.Process, take: Callable[[dict[str, Any]], None]
) -> dict[str, Any] | str | None:
    """Reads all lines of the child; returns the last: an object, or text if it was not JSON."""
    last: dict[str, Any] | str | None = None
    rest = b""
    assert process.stdout is not None  # it is a pipe: open_process()'s default
    async for chunk in process.stdout:
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-LINE_MAX:]
        for line in lines:
            try:
                report = json.loads(line)
            except ValueError:
                report = None
            if not isinstance(report, dict):  # a traceback
                last = line.decode(errors="replace") or last
                continue
            last = report
            take(report)
    return last
