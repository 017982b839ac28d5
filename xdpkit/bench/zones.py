"""The zones that the benchmarks serve, and queries for their names.

All names have the same length, so one echo has the size of every reply. The large zone takes a
minute to compile: its arena is cached under a name that changes with the compiler.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from xdpkit.lab.checkout import checkout
from xdpkit.loadgen.queries import draw, query, zipf
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import compiler_key

ORIGIN = "bench.example"
SMALL, LARGE = 10, 1_000_000
A = 1
# After the question of every reply: one A record whose name is a pointer (RFC 1035 section 4.1.4).
ANSWER_BYTES = 16

_ORIGIN_WIRE = b"\5bench\7example\0"
_HEAD = """\
$ORIGIN bench.example.
$TTL 3600
@ SOA ns hostmaster 1 7200 3600 1209600 300
@ NS ns
ns A 192.0.2.1
"""


def zone_text(names: int) -> str:
    """A master file of ``names`` names with one address each, plus the apex and its name server."""
    return _HEAD + "".join(
        f"host-{number:07d} A 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}\n"
        for number in range(names)
    )


def queries(names: int) -> list[bytes]:
    """One query per name, in order."""
    return [query(b"\x0chost-%07d" % number + _ORIGIN_WIRE, A) for number in range(names)]


def uniform(names: int) -> list[bytes]:
    """Queries in random order, all names equally likely."""
    return draw(queries(names))


def popular(names: int) -> list[bytes]:
    """As many queries, by Zipf's law: a name's share is proportional to 1/rank."""
    return zipf(queries(names), names)


def reply_bytes() -> int:
    """The payload size of every reply: the query's, including its OPT record, plus the answer."""
    return len(queries(1)[0]) + ANSWER_BYTES


def cache_directory() -> Path:
    """This checkout's .cache, or the user's cache (XDG base directories)."""
    if root := checkout():
        return root / ".cache" / "bench"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xdpkit"


def large_arena(progress: Callable[[str], None], names: int = LARGE) -> Path:
    """The compiled zone of ``names`` names, from the cache or compiled now. Raises OSError."""
    directory = cache_directory()
    path = directory / f"{names}-{compiler_key()}.arena"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob(f"{names}-*.arena"):
        old.unlink()

    def report(done: str) -> Callable[[int], None]:
        return lambda count: progress(f"compiling {names:,} names, once: {count:,} {done}")

    progress(f"compiling a zone of {names:,} names, once")
    part = path.with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix="xdpkit-bench-") as scratch, part.open("w+b") as out:
        master = Path(scratch) / f"{ORIGIN}.zone"
        master.write_text(zone_text(names))
        size = compile_zone(read_zone(master, report("read")), out.fileno(), 0, report("compiled"))
        out.truncate(size)
    part.rename(path)
    return path
