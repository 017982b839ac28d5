"""Compiles zones: ``python -m ...compiler.compile --fd N [--cache DIR] DIR``.

A child process of the daemon: dnspython's garbage and the minutes that a million names take stay
out of the process that holds the sockets. It is started before there is work, and reads the paths
of master files from stdin, a JSON string per line, until that ends. It writes JSON objects to
stdout, one per line:

    {"ready": true}                                     it can begin
    {"reading": PATH, "records": N, "share": OF_IT}     as it goes
    {"zone": PATH, "at": OFFSET, "size": BYTES, "sources": [...]}
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
from typing import Any

from xdpkit._core import _memory_reserve
from xdpkit.config.dns import DEFAULT_LIMITS, ZoneLimits
from xdpkit.errors import FILE_LINES, ZoneError
from xdpkit.reach import reach
from xdpkit.runtime import privileges
from xdpkit.runtime.reasons import failed
from xdpkit.services.dns.compiler import arena_file
from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.linter import Linter
from xdpkit.services.dns.compiler.memory_limit import MemoryLimit
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.error_list import LINES, located
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import Reading, Source, compiler_key, to_json

# The share of a zone's time spent reading; making images is the rest: measured with zones of
# addresses; signed ones are read in half of it.
READING = 0.6

# Nice value relative to answering threads: a third of their share of a CPU (sched(7)), and they
# preempt it as soon as they wake. With a much lower priority, a reload on a machine that is busy
# with other work would never finish.
BACKGROUND_NICE = 5

# The exit status after a zone that needed too much memory.
OUT_OF_MEMORY = 3

# Reports that come this close together are read together; a file of some tens of milliseconds.
TOGETHER_SECONDS = 0.02
LARGE_BYTES = 1 << 16

Report = Callable[[dict[str, Any]], None]


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
    ) -> None:
        self._fd, self._cache, self._limit, self._report = fd, cache, limit, report
        self._limits, self._linter = limits, linter
        self._at = 0
        self._made: list[tuple[bytes, int, int, tuple[Source, ...], float]] = []

    def compile(self, path: str) -> bool:
        """Compiles the zone of a master file, and reports it; False if memory did not suffice.

        Whatever is wrong with a file is an error of that zone.
        """
        self._limit.begin()
        told = LINES if self._linter else FILE_LINES
        reading = Reading(self._limit.allow, self._limits.size, told)
        try:
            zone = read_zone(Path(path), self._progress(path, reading), reading)
            found = self._linter.warnings(zone) if self._linter else {}
            most = self._limits.iterations
            size = compile_zone(zone, self._fd, self._at, max_iterations=most)
        except ZoneError as error:
            wrong = [each for each in error.errors or [error] if isinstance(each, ZoneError)]
            errors = [each.location() | {"error": each.reason} for each in located(wrong)]
            self._report({"zone": path, "errors": errors, "sources": to_json(reading.sources)})
            return True
        except MemoryError:
            # Before a function of Python's is called: where one begins, another may be raised.
            _memory_reserve.stop()
            return self._too_much(path, reading)
        except OSError as error:
            if error.errno in (errno.EFBIG, errno.ENOMEM):
                return self._too_much(path, reading)
            reason = f"could not be compiled: {failed('', error)}"
            self._refuse(path, reason, reading.sources)
            return True
        origin = zone.origin
        # Whoever reads the arena needs memory: this is what is at hand.
        del zone
        at, self._at = self._at, next_start(self._at + size)
        sources = reading.sources
        self._report({"zone": path, "at": at, "size": size, "sources": to_json(sources)} | found)
        if self._cache:
            self._made.append((origin, at, size, sources, time.time()))
        return True

    def _too_much(self, path: str, reading: Reading) -> bool:
        self._limit.use_reserve()
        needs = f"needs more than the {self._limit.current >> 20} MiB of memory that the zone "
        self._refuse(path, f"{needs}compiler may use: make it smaller", reading.sources)
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
        for zone, at, size, sources, made in self._made:
            end = arena_file.tail(size, sources, made)
            try:
                arena_file.write_cached(self._cache, zone, self._fd, at, size, end, made)
            except OSError as error:
                self._report({"unkept": f"{error.filename or self._cache}: {error.strerror}"})
                return


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
    compiler = Compiler(options.fd, cache, limit, report, limits, linter)
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
