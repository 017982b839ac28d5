"""Compiles zones: ``python -m ...compiler.compile --fd N [--cache DIR] DIR``.

A child process of the daemon: dnspython's garbage and the minutes that a million names take stay
out of the process that holds the sockets. It is started before there is work, and reads the paths
of master files from stdin, a JSON string per line, until that ends. It writes JSON objects to
stdout, one per line:

    {"ready": true}                                     it can begin
    {"reading": PATH, "records": N, "share": OF_IT}     as it goes
    {"zone": PATH, "at": OFFSET, "size": BYTES, "sources": [...]}
    {"view": ID, "at": OFFSET, "size": BYTES}           before the first JSON zone that uses it
    {"zone": PATH, ..., "view": ID}                     a JSON zone, whose view has this ID, in hex
    {"zone": PATH, "errors": [{"path", "line", "column", "error"}], "sources": [...]}
    {"zone": PATH, ..., "warnings": [[path, line, text]], "unlisted": N}       with --warn
    {"done": true}                                      it compiles no more, and writes the cache
    {"unkept": REASON}                                  the cache could not be written; once
    {"error": REASON}                                   it cannot work at all

Arenas go into the file ``--fd``, one after another. The cache comes last: making a file for each of
10,000 zones takes longer on some disks than compiling them, and nobody has to wait for that. A zone
that needs too much memory is reported as one with an error, and ends the process: another begins
without what is left of it.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from xdpkit._core import _memory_reserve
from xdpkit.config.dns import DEFAULT_LIMITS, ZoneLimits
from xdpkit.config.geo import MAX_HOSTS, GeoFiles
from xdpkit.errors import FILE_LINES, ZoneError
from xdpkit.reach import reach
from xdpkit.runtime import privileges
from xdpkit.runtime.reasons import failed
from xdpkit.services.dns.compiler import arena_file, view_file
from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.arena_file import KeptGeo, settings_key
from xdpkit.services.dns.compiler.linter import Linter
from xdpkit.services.dns.compiler.memory_limit import MemoryLimit
from xdpkit.services.dns.compiler.process import BACKGROUND_NICE, OUT_OF_MEMORY
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.error_list import LINES, located
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import (
    JSON_SUFFIX,
    SUFFIX,
    Reading,
    Source,
    compiler_key,
    is_json_zone,
    to_json,
)

if TYPE_CHECKING:
    from xdpkit.services.dns.compiler.json_zone import JsonZones

# The share of a zone's time spent reading; making images is the rest: measured with zones of
# addresses; signed ones are read in half of it.
READING = 0.6

# Reports that come this close together are read together; a file of some tens of milliseconds.
TOGETHER_SECONDS = 0.02
LARGE_BYTES = 1 << 16

Report = Callable[[dict[str, Any]], None]


class _Made(NamedTuple):
    """A zone that was compiled, for the cache."""

    zone: bytes
    at: int
    size: int
    sources: tuple[Source, ...]
    when: float
    view: bytes
    """The id of a JSON zone's."""


class Compiler:
    """Compiles one zone after the other into ``fd``, and keeps them in ``cache``."""

    def __init__(
        self,
        fd: int,
        cache: Path | None,
        limit: MemoryLimit,
        report: Report,
        limits: ZoneLimits,
        linter: Linter | None = None,
        geo: GeoFiles | None = None,
    ) -> None:
        self._fd, self._cache, self._limit, self._report = fd, cache, limit, report
        self._limits, self._linter, self._geo = limits, linter, geo
        self._json = None if geo is None else _json_zones(geo, cache, limit)
        self._shown: dict[bytes, tuple[int, int]] = {}
        """Where the views are that are in the file, and their sizes."""
        self._at = 0
        self._made: list[_Made] = []

    def compile(self, path: str) -> bool:
        """Compiles the zone of a file, and reports it; False if memory did not suffice.

        Whatever is wrong with a file is an error of that zone.
        """
        self._limit.begin()
        told = LINES if self._linter else FILE_LINES
        reading = Reading(self._limit.allow, self._limits.size, told)
        try:
            origin, size, found = self._compiled(path, reading)
        except ZoneError as error:
            wrong = [each for each in error.errors or [error] if isinstance(each, ZoneError)]
            errors = [each.location() | {"error": each.reason} for each in located(wrong)]
            sources = self._sources(path, reading)
            self._report({"zone": path, "errors": errors, "sources": to_json(sources)})
            return True
        except MemoryError:
            # Before a function of Python's is called: where one begins, another may be raised.
            _memory_reserve.stop()
            return self._too_much(path, reading)
        except OSError as error:
            if error.errno in (errno.EFBIG, errno.ENOMEM):
                return self._too_much(path, reading)
            reason = f"could not be compiled: {failed('', error)}"
            self._refuse(path, reason, self._sources(path, reading))
            return True
        at, self._at = self._at, next_start(self._at + size)
        sources = self._sources(path, reading)
        self._report({"zone": path, "at": at, "size": size, "sources": to_json(sources)} | found)
        if self._cache:
            view = bytes.fromhex(found.get("view", ""))
            self._made.append(_Made(origin, at, size, sources, time.time(), view))
        return True

    def _compiled(self, path: str, reading: Reading) -> tuple[bytes, int, dict[str, Any]]:
        """The zone's name, the size of its arena, and its warnings."""
        file = Path(path)
        if self._json:
            _check_alone(file)
            if is_json_zone(file.name):
                return self._compiled_json(self._json, file, reading)
        zone = read_zone(file, self._progress(path, reading), reading)
        found = self._linter.warnings(zone) if self._linter else {}
        most = self._limits.iterations
        return zone.origin, compile_zone(zone, self._fd, self._at, max_iterations=most), found

    def _compiled_json(
        self, zones: JsonZones, path: Path, reading: Reading
    ) -> tuple[bytes, int, dict[str, Any]]:
        made = zones.read(path, reading)
        view = made.view
        if view.id not in self._shown:
            at = self._at
            _write_block(self._fd, at, view.block)
            self._at = next_start(at + len(view.block))
            self._shown[view.id] = (at, len(view.block))
            self._report({"view": view.id.hex(), "at": at, "size": len(view.block)})
        found: dict[str, Any] = {"view": view.id.hex()}
        if self._linter:
            found |= zones.warnings(made)
        return made.zone.origin, zones.compile(made, self._fd, self._at), found

    def _sources(self, path: str, reading: Reading) -> tuple[Source, ...]:
        if self._json is None or not is_json_zone(Path(path).name):
            return reading.sources
        return (*reading.sources, *self._json.sources)

    def _too_much(self, path: str, reading: Reading) -> bool:
        self._limit.use_reserve()
        needs = f"needs more than the {self._limit.current >> 20} MiB of memory that the zone "
        reason = f"{needs}compiler may use: make it smaller"
        self._refuse(path, reason, self._sources(path, reading))
        return False

    def _refuse(self, path: str, reason: str, sources: tuple[Source, ...]) -> None:
        found = [{"path": path, "line": None, "column": None, "error": reason}]
        self._report({"zone": path, "errors": found, "sources": to_json(sources)})

    def _progress(self, path: str, reading: Reading) -> Callable[[int], None]:
        def progress(records: int) -> None:
            whole = reading.size or 1
            share = READING * min(reading.bytes_read / whole, 1)
            self._report({"reading": path, "records": records, "share": share})

        return progress

    def keep(self) -> None:
        """Writes the cache files of what was compiled."""
        if self._cache is None:
            return
        try:
            # First: no arena is to be there without its view.
            for view in {made.view for made in self._made if made.view}:
                view_file.write_view(self._cache, view, self._fd, *self._shown[view])
            for made in self._made:
                self._keep(self._cache, made)
        except OSError as error:
            self._report({"unkept": f"{error.filename or self._cache}: {error.strerror}"})

    def _keep(self, cache: Path, made: _Made) -> None:
        geo = None
        if made.view and self._geo:
            geo = KeptGeo(made.view, settings_key(self._geo))
        end = arena_file.tail(made.size, made.sources, made.when, geo)
        arena_file.write_cached(cache, made.zone, self._fd, made.at, made.size, end, made.when)


def _json_zones(files: GeoFiles, cache: Path | None, limit: MemoryLimit) -> JsonZones:
    from xdpkit.services.dns.compiler.json_zone import JsonZones

    return JsonZones(files, cache, limit.allow)


def _check_alone(path: Path) -> None:
    """Raises ZoneError if a zone has a master file and a JSON zone: which one is meant?"""
    suffix = SUFFIX if is_json_zone(path.name) else JSON_SUFFIX
    other = path.with_name(path.name[: path.name.rindex(".")] + suffix)
    if os.path.lexists(reach(other)):
        raise ZoneError(path, f"the same zone as {other.name}; remove one of them")


def _write_block(fd: int, at: int, block: bytes) -> None:
    """Writes a view's block into the file of arenas. Raises OSError."""
    view = memoryview(block)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m xdpkit.services.dns.compiler.compile", description=__doc__
    )
    parser.add_argument("--fd", type=int, required=True, help="an empty memfd")
    parser.add_argument("--cache", type=Path, help="the directory that keeps compiled zones")
    text = "run at a lower priority than the answering threads"
    parser.add_argument("--behind", action="store_true", help=text)
    parser.add_argument("--memory", type=int, help="the most bytes of memory to use")
    text = "the most bytes of a zone's files"
    parser.add_argument("--max-bytes", type=int, default=DEFAULT_LIMITS.size, help=text)
    text = "the most iterations of NSEC3"
    parser.add_argument("--max-iterations", type=int, default=DEFAULT_LIMITS.iterations, help=text)
    parser.add_argument("--warn", action="store_true", help="report what is probably a mistake")
    text = "the directory of what is served now, which --warn compares with"
    parser.add_argument("--served", type=Path, help=text)
    parser.add_argument("--geo", action="store_true", help="read NAME.json, too: GeoDNS's zones")
    text = "allow trailing commas and # comments in them"
    parser.add_argument("--relax", action="store_true", help=text)
    text = "the directory of location databases"
    parser.add_argument("--geoip", type=Path, help=text)
    text = "prefixes and their locations, before those of the databases"
    parser.add_argument("--map", type=Path, help=text)
    text = "most records of an answer in a JSON zone that does not say"
    parser.add_argument("--max-hosts", type=int, default=MAX_HOSTS, help=text)
    parser.add_argument("directory", type=Path)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """The child's command line; returns the exit status."""
    options = _options(arguments)

    report = _Report()
    if options.behind:
        os.nice(BACKGROUND_NICE)
    try:
        limit = MemoryLimit(options.memory)
    except (ValueError, OSError) as error:
        # Python's resource module turns EPERM into ValueError.
        number = getattr(error, "errno", None) or errno.EPERM
        what = "the zone compiler's memory could not be limited: setrlimit"
        report({"error": failed(what, number)})
        report.flush()
        return 1
    cache = options.cache.absolute() if options.cache else None
    # $INCLUDE is relative to the zone directory, wherever the daemon was started.
    try:
        os.chdir(reach(options.directory.absolute()))
    except OSError as error:
        report({"error": failed(f"{options.directory}: chdir", error)})
        report.flush()
        return 1
    linter = Linter(options.served) if options.warn else None
    limits = ZoneLimits(options.max_bytes, options.max_iterations)
    geo = None
    if options.geo:
        geo = GeoFiles(options.geoip, options.map, options.relax, options.max_hosts)
    compiler = Compiler(options.fd, cache, limit, report, limits, linter, geo)
    compiler_key()
    report({"ready": True})
    report.flush()
    status = 0
    for line in sys.stdin:
        path = json.loads(line)
        if _is_large(path):
            report.flush()
        if not compiler.compile(path):
            status = OUT_OF_MEMORY
            break
    report({"done": True})
    report.flush()
    if not options.behind:
        os.nice(BACKGROUND_NICE)
    compiler.keep()
    report.flush()
    return status


class _Report:
    """Writes lines to stdout: at once, but many quick ones together."""

    def __init__(self) -> None:
        self._flushed = time.monotonic()

    def __call__(self, line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        if time.monotonic() - self._flushed > TOGETHER_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what is left."""
        sys.stdout.flush()
        self._flushed = time.monotonic()


def _is_large(path: str) -> bool:
    """Whether a file takes long enough for others to wait for it."""
    try:
        return os.stat(path).st_size > LARGE_BYTES  # noqa: PTH116
    except OSError:
        return True


if __name__ == "__main__":
    # ``check`` is to judge the files as ``run`` will read them.
    privileges.drop()
    sys.exit(main())
