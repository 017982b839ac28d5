"""The daemon's side of zone compilation: reads the cached arena, or has a child compile one."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.errors import UnansweredError, XdpkitError
from xdpkit.runtime.off_loop import off_loop
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena_file import ArenaFile, Stale
from xdpkit.services.dns.compiler.compile import BACKGROUND_NICE
from xdpkit.services.dns.serving.compiler_child import Progress, compile_in_child, never
from xdpkit.services.dns.zonefile.sources import unchanged
from xdpkit.services.dns.zonefile.zone import name_text

__all__ = [
    "Arena",
    "Progress",
    "ZoneInfo",
    "cached_arena",
    "cached_zones",
    "compile_zones",
    "load_zones",
]

log = logging.getLogger("xdpkit")

# A cache of a million names is read and checked in 2 s; a slow disk takes some more.
CACHE_SECONDS = 60.0

# The arena is in memory: nothing but the CPU is waited for.
ARENA_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class ZoneInfo:
    """Facts about a compiled zone."""

    serial: int
    names: int
    """Owner names in the master file."""


class Arena:
    """The compiled zones in memory, and how they were loaded."""

    def __init__(self, file: ArenaFile, origin: str, seconds: float, cache_error: str = "") -> None:
        self.arenas = file.arenas
        self.map = ZoneDirectory((arena.name, arena) for arena in file.arenas)
        self.size = sum(arena.size for arena in file.arenas)
        self.sources = file.sources
        self.origin = origin
        """compiled or cache."""
        self.seconds = seconds
        """Duration of the load."""
        self.cache_error = cache_error
        """Why the cache file could not be written; empty on success or without a cache."""
        zones = {
            name_text(arena.name): ZoneInfo(arena.serial, arena.names) for arena in file.arenas
        }
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
    newer: Callable[[], bool] = never,
) -> Arena:
    """The arena of a directory's zones: the one in ``cache`` if it is still current.

    Otherwise they are compiled, and the cache is written; with ``background``, at a lower priority
    than the answering threads. Raises like compile_zones().
    """
    if cache is None:
        return await compile_zones(directory, progress, None, background, newer)
    path = arena_file.cache_file(cache, directory)
    try:
        cached = await off_loop(
            path, partial(cached_arena, path, directory), CACHE_SECONDS, _nice(background)
        )
    except UnansweredError as error:
        log.warning("%s; compiling the zones again", error)
        return await compile_zones(directory, progress, None, background, newer)
    return cached or await compile_zones(directory, progress, path, background, newer)


def cached_arena(path: Path, directory: Path) -> Arena | None:
    """The arena in a cache file if it matches the directory; a damaged one is logged."""
    started = time.monotonic()
    try:
        fd = arena_file.open_cached(path)
        try:
            arenas, sources = arena_file.read_sources(fd)
            now = unchanged(sources, directory)
            if now is None:
                return None
            file = arena_file.read_arenas(fd, arenas, now)
        finally:
            os.close(fd)
        return Arena(file, "cache", time.monotonic() - started)
    except (FileNotFoundError, NotADirectoryError, Stale):
        return None
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or error
        log.warning("%s is not used: %s; compiling the zones again", path, reason)
        return None


def cached_zones(cache: Path, directory: Path) -> dict[bytes, ZoneArena] | None:
    """The zones of a directory by name, if the cache has them as they are now."""
    cached = cached_arena(arena_file.cache_file(cache, directory), directory)
    return {arena.name: arena for arena in cached.arenas} if cached else None


async def compile_zones(
    directory: Path,
    progress: Callable[[Progress], None] | None = None,
    cache_path: Path | None = None,
    background: bool = False,
    newer: Callable[[], bool] = never,
    memory: int | None = None,
) -> Arena:
    """Compiles every zone of a directory in a child process, which also writes ``cache_path``.

    With ``background``, the child yields the CPU to the answering threads. While ``newer``, because
    somebody waits for newer zones, a child that is stuck is ended sooner. ``memory`` is the most
    that it may use, in bytes; by default, what memory_limit.py allows.
    Raises the child's ZoneError, with file and line, and XdpkitError if the child died or was ended
    because it was stuck. Canceling kills the child.
    """
    started = time.monotonic()
    fd = os.memfd_create("xdpkit-zones", os.MFD_CLOEXEC)
    try:
        arguments = ["--fd", str(fd), *(["--cache", str(cache_path)] if cache_path else [])]
        arguments += ["--behind"] * background
        arguments += [] if memory is None else ["--memory", str(memory)]
        cache_error = await compile_in_child([*arguments, str(directory)], fd, progress, newer)
        # Its own descriptor: a thread that is left behind goes on with it.
        read = partial(_read_arena, os.dup(fd))
        try:
            file = await off_loop("the zone arena", read, ARENA_SECONDS, _nice(background))
        except (OSError, ValueError, MemoryError) as error:
            raise XdpkitError(f"the zone compiler produced no usable arena: {error}") from error
    finally:
        os.close(fd)
    return Arena(file, "compiled", time.monotonic() - started, cache_error)


def _nice(background: bool) -> int:
    return BACKGROUND_NICE if background else 0


def _read_arena(fd: int) -> ArenaFile:
    """Reads it and closes the descriptor."""
    try:
        # After an upgrade the child is newer than we are: an arena of the same format will do.
        return arena_file.read_arenas(fd, *arena_file.read_sources(fd, ours=False))
    finally:
        os.close(fd)
