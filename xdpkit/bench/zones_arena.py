"""Compiled zones in a file, for the parts of ``bench --zones`` that need no server."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdpkit.bench.zones_site import Say
from xdpkit.services.dns.compiler.arena import next_start
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.zonefile.read import read_zone

# An alias case: this many aliases to a name with ten RRsets of 58 KB.
_HEAD = "$TTL 300\n@ SOA ns1 host 1 7200 3600 1209600 60\n@ NS ns1\nns1 A 192.0.2.1\n"
_RRSETS, _RECORDS = 10, 230
ALIASES = 400


def write(files: Sequence[Path], target: Path, say: Say) -> int:
    """Compiles master files into ``target``, an arena after the other; returns their bytes."""
    at = total = 0
    with target.open("w+b") as out:
        for number, path in enumerate(files):
            if number % 1000 == 0:
                say(f"compiling zones: {number:,} of {len(files):,}")
            size = compile_zone(read_zone(path), out.fileno(), at)
            total += size
            at = next_start(at + size)
        # The last one is as long as the others are: their lengths are in their headers.
        out.truncate(at)
    return total


def alias_text(aliases: int) -> str:
    """A zone with aliases to a name whose answers are large."""
    big = "".join(
        f"big TYPE{30000 + kind} \\# 250 {number:04x}{'00' * 248}\n"
        for kind in range(_RRSETS)
        for number in range(_RECORDS)
    )
    return _HEAD + big + "".join(f"c{number} CNAME big\n" for number in range(aliases))


def measure_alias(aliases: int, say: Say) -> dict[str, Any]:
    """Bytes of arena per byte of file for a zone with aliases to large answers."""
    with tempfile.TemporaryDirectory(prefix="xdpkit-alias-") as scratch:
        path = Path(scratch) / "b.test.zone"
        path.write_text(alias_text(aliases))
        size, file = write([path], Path(scratch) / "arena", say), path.stat().st_size
    return {
        "aliases": aliases,
        "file_bytes": file,
        "arena_bytes": size,
        "per_file_byte": size / file,
    }
