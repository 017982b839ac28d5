"""Compiles a directory of zones: ``python -m ...compiler.compile --fd N [--cache FILE] DIR``.

A child process of the daemon: dnspython's garbage and the minutes that a million names take stay
out of the process that holds the sockets. It writes JSON objects to stdout, one per line:
``{"zone": NAME, "records": N, "share": OF_ALL_WORK}`` as it goes, with "names" instead of
"records" once a zone is in the arena; ``{"unkept": REASON}`` if the cache file could not be
written; and finally either ``{"size": BYTES}`` (exit 0),
``{"error": REASON, "path": FILE, "line": N}`` (exit 2), or ``{"error": REASON}`` (exit 1).
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from xdpkit.errors import ZoneError
from xdpkit.reach import reach
from xdpkit.runtime import privileges
from xdpkit.runtime.reasons import failed
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.memory_limit import MemoryLimit
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.error_list import directory_error
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import SUFFIX, Reading, stat_of, zone_files
from xdpkit.services.dns.zonefile.zone import Zone, name_text

__all__ = ["compile_zones", "main", "read_zones", "zone_files"]

# The share of a zone's time spent reading; making images is the rest: measured with zones of
# addresses, and much the same for signed ones.
READING = 0.8

# Nice value relative to answering threads: a third of their share of a CPU (sched(7)), and they
# preempt it as soon as they wake. With a much lower priority, a reload on a machine that is busy
# with other work would never finish.
BACKGROUND_NICE = 5

Report = Callable[[dict[str, Any]], None]


def no_report(_: dict[str, Any]) -> None:
    """Discards progress reports."""


def read_zones(
    files: Iterable[Path], report: Report = no_report, reading: Reading | None = None
) -> list[Zone]:
    """Reads master files; raises ZoneError with everything that is wrong with them."""
    files, reading = list(files), reading or Reading()
    total = sum(stat[0] for path in files if (stat := stat_of(path))) or 1
    zones: dict[bytes, Zone] = {}
    refused: list[ZoneError] = []
    for path in files:

        def progress(records: int, path: Path = path) -> None:
            share = READING * min(reading.bytes_read / total, 1)
            report({"zone": path.name.removesuffix(SUFFIX), "records": records, "share": share})

        try:
            zone = read_zone(path, progress, reading)
        except ZoneError as error:
            refused.append(error)
            continue
        other = zones.setdefault(zone.origin, zone)
        if other is not zone:
            reason = f"the same zone as {other.path.name}; remove one of them"
            refused.append(ZoneError(path, reason))
    if refused:
        raise directory_error(refused)
    return list(zones.values())


def compile_zones(
    zones: list[Zone], fd: int, report: Report = no_report, seed: int | None = None
) -> list[tuple[int, int]]:
    """Writes the arenas of ``zones`` into the empty file ``fd``; returns offset and size of each.

    Raises ZoneError for all zones that cannot be served.
    """
    refused: list[ZoneError] = []
    total, done, at = sum(len(zone.nodes) for zone in zones) or 1, 0, 0
    found: list[tuple[int, int]] = []
    for zone in zones:
        name, before = name_text(zone.origin), done

        def progress(nodes: int, name: str = name, before: int = before) -> None:
            share = READING + (1 - READING) * (before + nodes) / total
            report({"zone": name, "records": nodes, "share": share})

        nodes = len(zone.nodes)
        try:
            found.append((at, compile_zone(zone, fd, at, progress, seed)))
            at += -(-found[-1][1] // 64) * 64
        except ZoneError as error:
            refused.append(error)
        done += nodes
        share = READING + (1 - READING) * done / total
        report({"zone": name, "names": zone.names, "share": share})
    if refused:
        raise directory_error(refused)
    return found


def _write_cache(fd: int, path: Path, report: Report) -> None:
    try:
        arena_file.write_cache(fd, path)
    except OSError as error:
        report({"unkept": f"{error.filename or path}: {error.strerror}"})


def main(arguments: list[str] | None = None) -> int:
    """The child's command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m xdpkit.services.dns.compiler.compile", description=__doc__
    )
    parser.add_argument("--fd", type=int, required=True, help="an empty memfd")
    parser.add_argument("--cache", type=Path, help="cache file to write")
    text = "run at a lower priority than the answering threads"
    parser.add_argument("--behind", action="store_true", help=text)
    parser.add_argument("--memory", type=int, help="the most bytes of memory to use")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args(arguments)

    def report(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    if options.behind:
        os.nice(BACKGROUND_NICE)
    try:
        limit = MemoryLimit(options.memory)
    except (ValueError, OSError) as error:
        # Python's resource module turns EPERM into ValueError.
        number = getattr(error, "errno", None) or errno.EPERM
        what = "the zone compiler's memory could not be limited: setrlimit"
        report({"error": failed(what, number)})
        return 1
    reading = Reading(limit.allow)
    try:
        directory = options.directory.absolute()
        files = zone_files(directory)
        # $INCLUDE is relative to the zone directory, wherever the daemon was started.
        os.chdir(reach(directory))
        arenas = compile_zones(read_zones(files, report, reading), options.fd, report)
    except ZoneError as error:
        for each in error.errors or [error]:
            report(each.location() | {"error": each.reason})
        return error.exit_code
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EFBIG, errno.ENOMEM):
            raise
        limit.use_reserve()
        most = f"more than the {limit.current >> 20} MiB of memory that it may use"
        report({"error": f"the zone compiler needs {most}: make the zones smaller"})
        return 1
    size = arena_file.append_record(options.fd, arenas, reading.sources)
    if options.cache:
        _write_cache(options.fd, options.cache.absolute(), report)
    report({"size": size})
    return 0


if __name__ == "__main__":
    # ``check`` is to judge the files as ``run`` will read them.
    privileges.drop()
    sys.exit(main())
