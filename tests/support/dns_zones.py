"""Zones of a directory, read and compiled in this process."""

from __future__ import annotations

import os
from pathlib import Path

from xdpkit._core._zones import ZoneArena, ZoneDirectory
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import zone_files


def compiled(path: Path, seed: int | None = None, **options: int) -> bytes:
    """The arena of a master file."""
    fd = os.memfd_create("test-zone", os.MFD_CLOEXEC)
    try:
        size = compile_zone(read_zone(path), fd, seed=seed, **options)
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def arenas(directory: Path) -> dict[bytes, ZoneArena]:
    """The zones of a directory by their names."""
    made = [ZoneArena(compiled(path)) for path in zone_files(directory)]
    return {arena.name: arena for arena in made}


def zone_directory(directory: Path) -> ZoneDirectory:
    """The zones of a directory, for a Snapshot."""
    return ZoneDirectory(arenas(directory).items())
