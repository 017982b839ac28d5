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
from xdpkit.services.dns.compiler import arena, arena_file, images
from xdpkit.services.dns.compiler.body import Image, ImageTooLarge
from xdpkit.services.dns.compiler.forest import Forest
from xdpkit.services.dns.compiler.memory_limit import MemoryLimit
from xdpkit.services.dns.compiler.tree import Tree
from xdpkit.services.dns.zonefile.error_list import directory_error
from xdpkit.services.dns.zonefile.read import read_zone
from xdpkit.services.dns.zonefile.sources import SUFFIX, Reading, stat_of, zone_files
from xdpkit.services.dns.zonefile.zone import CNAME, DNAME, DS, Zone, find, name_text

__all__ = ["compile_zones", "main", "read_zones", "write_zone", "zone_files"]

# The share of a zone's time spent reading; making images is the rest: measured with zones of
# addresses, and much the same for signed ones.
READING = 0.8

# Nice value relative to answering threads: a third of their share of a CPU (sched(7)), and they
# preempt it as soon as they wake. With a much lower priority, a reload on a machine that is busy
# with other work would never finish.
BACKGROUND_NICE = 5

# Names between two progress reports.
STEP = 20_000

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


def _nodes(
    forest: Forest, tree: Tree
) -> Iterable[tuple[bytes, int, list[tuple[int | None, Image]]]]:
    """(name, flags, images) of every name that belongs to this zone."""
    for name, rrsets in tree.nodes.items():
        if tree.is_in_inner_zone(name):
            continue
        try:
            if name in tree.cuts:
                found: list[tuple[int | None, Image]] = []
                if tree.ds(name):
                    found.append((DS, images.delegated_ds(tree, name)))
                yield name, arena.CUT, [*found, (None, images.referral(tree, name))]
                continue
            flags = arena.APEX if name == tree.origin else 0
            flags |= arena.ALIAS if find(rrsets, CNAME) else 0
            flags |= arena.DNAME if find(rrsets, DNAME) else 0
            yield name, flags, list(images.node_images(forest, tree, name))
        except ImageTooLarge as error:
            reason = f"the reply for {name_text(name)} has {error} bytes, more than a DNS message"
            raise rrsets[0].error(reason) from None


class _ChainWriter:
    """Writes the proofs of a signed zone, and refers each node to its own."""

    def __init__(self, writer: arena.Writer, tree: Tree) -> None:
        self.denial, self.tree = tree.denial, tree
        self.fields = (0, 0, 0)
        self.parts: dict[int, int] = {}
        """The offset of each proof, by its id()."""
        if not self.denial:
            return
        hashed = self.denial.parameters
        for proof in self.denial.proofs:
            part = proof.part(tree.origin, b"" if hashed else proof.key)
            self.parts[id(proof)] = writer.put(part)
        chain = b"".join(
            (proof.key if hashed else b"") + self.parts[id(proof)].to_bytes(4, "little")
            for proof in self.denial.proofs
        )
        hashing = b""
        if hashed:
            hashing = arena.HASHING.pack(hashed.iterations, len(hashed.salt)) + hashed.salt
        at = writer.put(chain)
        self.fields = (at, len(self.denial.proofs), writer.put(hashing) if hashing else 0)

    def denial_fields(self, name: bytes) -> tuple[bytes, int, bytes | None]:
        """The bytes before a node, its flags, and the ancestor that is proved instead of it."""
        if not self.denial:
            return b"", 0, None
        proofs = self.denial.nodata(name)
        provable = self.denial.provable(name)
        omitted = len(proofs) > 1
        if name in self.tree.cuts or omitted:
            cover = proofs[1:]
        else:
            cover = [] if name in self.tree.wildcards else [self.denial.no_wildcard(name)]
        offsets = [self.parts[id(proof)] for proof in (proofs[0], *cover)]
        front = arena.DENIAL.pack(*offsets, *[0] * (2 - len(offsets)), 0)
        return front, arena.UNPROVEN if omitted else 0, provable if omitted else None


def write_zone(
    writer: arena.Writer, forest: Forest, tree: Tree, progress: Callable[[int], None] | None = None
) -> None:
    """Adds a zone to an arena; ``progress`` is called with the number of nodes so far."""
    zone = tree.zone
    nxdomain = writer.add_image(images.nxdomain(tree))
    nodata = writer.add_image(images.nodata(tree))
    chain = _ChainWriter(writer, tree)
    offsets: dict[bytes, int] = {}
    """Names that others refer to: enclosers of wildcards, and of names that opt-out omitted."""
    wildcards: dict[bytes, int] = {}
    unproven: dict[int, bytes] = {}
    for count, (name, flags, found) in enumerate(_nodes(forest, tree)):
        if progress is not None and count % STEP == STEP - 1:
            progress(count)
        front, more, provable = chain.denial_fields(name)
        offset = writer.add_node(name, flags | more, found, nodata, front, chain.parts)
        if provable is not None:
            unproven[offset] = provable
        if name in tree.wildcards or tree.denial:
            offsets[name] = offset
        if name.startswith(b"\1*"):
            wildcards[name[2:]] = offset
        if flags & arena.APEX:
            apex = offset
    for name, offset in wildcards.items():
        writer.set_wildcard(offsets[name], offset)
    for offset, name in unproven.items():
        writer.set_provable(offset, offsets[name])
    writer.end_zone(apex, zone.serial, zone.names, nxdomain, nodata, *chain.fields)


def compile_zones(
    zones: list[Zone], fd: int, report: Report = no_report, seed: int | None = None
) -> int:
    """Writes the arena of ``zones`` into the empty file ``fd``; returns its size in bytes.

    Raises ZoneError for all zones that cannot be served.
    """
    refused: list[ZoneError] = []
    forest = Forest(zones)
    writer = arena.Writer(fd, len(zones), seed)
    total, done = sum(len(tree.nodes) for tree in forest.trees.values()), 0
    for tree in forest.trees.values():
        name, before = name_text(tree.origin), done

        def progress(nodes: int, name: str = name, before: int = before) -> None:
            share = READING + (1 - READING) * (before + nodes) / total
            report({"zone": name, "records": nodes, "share": share})

        try:
            write_zone(writer, forest, tree, progress)
        except ZoneError as error:
            refused.append(error)
        done += len(tree.nodes)
        share = READING + (1 - READING) * done / total
        report({"zone": name, "names": tree.zone.names, "share": share})
    if refused:
        raise directory_error(refused)
    return writer.finish()


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
        size = compile_zones(read_zones(files, report, reading), options.fd, report)
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
    size = arena_file.append_record(options.fd, size, reading.sources)
    if options.cache:
        _write_cache(options.fd, options.cache.absolute(), report)
    report({"size": size})
    return 0


if __name__ == "__main__":
    # ``check`` is to judge the files as ``run`` will read them.
    privileges.drop()
    sys.exit(main())
