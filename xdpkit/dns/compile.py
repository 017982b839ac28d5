"""Compiles a directory of zones: ``python -m xdpkit.dns.compile --fd N DIR``.

A child process of the daemon: dnspython's garbage and the minutes that a million names take stay
out of the process that holds the sockets. It writes one JSON object a line on stdout:
``{"zone": NAME, "records": N}`` as it goes, ``{"zone": NAME, "names": N}`` when a zone is in the
arena, and last either ``{"size": BYTES}`` (exit 0) or
``{"error": REASON, "path": FILE, "line": N}`` (exit 2).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from xdpkit.dns import arena, images
from xdpkit.dns.tree import Tree, find
from xdpkit.dns.zone import CNAME, DS, Zone, is_below, text
from xdpkit.dns.zonefile import SUFFIX, read_zone
from xdpkit.errors import ZoneError

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""After these nobody can change the arena, so that one check holds for its whole life."""

Report = Callable[[dict[str, Any]], None]


def silent(_: dict[str, Any]) -> None:
    """Reports to nobody."""


def zone_files(directory: Path) -> list[Path]:
    """The master files of a directory, sorted; hidden files and other suffixes are not ours."""
    try:
        found = sorted(directory.iterdir())
    except OSError as error:
        raise ZoneError(directory, f"cannot be read: {error.strerror}") from None
    # "..zone" is the root zone's: NAME is a single dot.
    files = [
        path
        for path in found
        if path.name.endswith(SUFFIX)
        and (not path.name.startswith(".") or path.name == "." + SUFFIX)
    ]
    if not files:
        raise ZoneError(directory, f"no zone in it; put NAME{SUFFIX} files there")
    return files


def read_zones(files: Iterable[Path], report: Report = silent) -> list[Zone]:
    """Reads master files; raises ZoneError for the first that is wrong."""
    zones: dict[bytes, Zone] = {}
    for path in files:

        def progress(records: int, path: Path = path) -> None:
            report({"zone": path.name.removesuffix(SUFFIX), "records": records})

        zone = read_zone(path, progress)
        other = zones.setdefault(zone.origin, zone)
        if other is not zone:
            raise ZoneError(path, f"the same zone as {other.path.name}; remove one of them")
    return list(zones.values())


def _delegated(name: bytes, parent: Tree | None) -> list[tuple[int | None, bytes]]:
    """The DS image of a zone's own name, which is the zone above's (RFC 4035 section 3.1.4.1)."""
    if parent is None:
        return []
    signers = parent.signers(name)
    if signers:
        return [(DS, images.positive(name, signers))]
    return [(DS, images.nodata(parent, name, shared=False))]


def _nodes(
    tree: Tree, above: Tree | None
) -> Iterable[tuple[bytes, int, list[tuple[int | None, bytes]]]]:
    """(name, flags, images) of every name that is this zone's."""
    for name, rrsets in tree.nodes.items():
        if tree.is_taken(name):
            continue
        try:
            if name in tree.cuts:
                found: list[tuple[int | None, bytes]] = []
                if tree.signers(name):
                    found.append((DS, images.positive(name, tree.signers(name))))
                yield name, arena.CUT, [*found, (None, images.referral(tree, name))]
            elif name == tree.origin:
                found = [*images.of_node(tree, name), *_delegated(name, above)]
                yield name, arena.APEX, sorted(found, key=lambda pair: pair[0] or 0)
            else:
                flags = arena.ALIAS if find(rrsets, CNAME) else 0
                yield name, flags, list(images.of_node(tree, name))
        except images.ImageTooLarge as error:
            reason = f"the reply for {text(name)} has {error} bytes, more than a DNS message"
            raise rrsets[0].error(reason) from None


def write_zone(writer: arena.Writer, tree: Tree, above: Tree | None) -> None:
    """Adds a zone to an arena; ``above`` is the zone served that it lies in, if one is."""
    zone = tree.zone
    nxdomain = writer.add_image(images.nxdomain(tree))
    nodata = writer.add_image(images.nodata(tree, tree.origin))
    wildcards: dict[bytes, int] = {}
    enclosers: dict[bytes, int] = {}
    for name, flags, found in _nodes(tree, above):
        offset = writer.add_node(name, flags, found, nodata)
        if name in tree.wildcards:
            enclosers[name] = offset
        if name.startswith(b"\1*"):
            wildcards[name[2:]] = offset
        if flags & arena.APEX:
            apex = offset
    for name, offset in wildcards.items():
        writer.set_wildcard(enclosers[name], offset)
    writer.end_zone(apex, zone.serial, nxdomain, zone.names)


def compile_zones(
    zones: list[Zone], fd: int, report: Report = silent, seed: int | None = None
) -> int:
    """Writes the arena of ``zones`` into the empty file ``fd``; gives its size in bytes."""
    origins = {zone.origin for zone in zones}
    trees: dict[bytes, Tree] = {}
    for zone in zones:
        inner = {o for o in origins if o != zone.origin and is_below(o, zone.origin)}
        trees[zone.origin] = Tree(zone, frozenset(inner))
    writer = arena.Writer(fd, len(zones), seed)
    for tree in trees.values():
        around = [o for o in origins if o != tree.origin and is_below(tree.origin, o)]
        write_zone(writer, tree, trees[max(around, key=len)] if around else None)
        report({"zone": text(tree.origin), "names": tree.zone.names})
    return writer.finish()


def main(arguments: list[str] | None = None) -> int:
    """The child's command line; the exit status is returned."""
    parser = argparse.ArgumentParser(prog="python -m xdpkit.dns.compile", description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="an empty memfd that takes seals")
    parser.add_argument("directory", type=Path)
    options = parser.parse_args(arguments)

    def report(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    directory = options.directory.absolute()
    try:
        files = zone_files(directory)
        # $INCLUDE is relative to the zones, wherever the daemon was started.
        os.chdir(directory)
        size = compile_zones(read_zones(files, report), options.fd, report)
    except ZoneError as error:
        report({"error": error.reason, "path": error.path, "line": error.line})
        return error.exit_code
    fcntl.fcntl(options.fd, fcntl.F_ADD_SEALS, SEALS)
    report({"size": size})
    return 0


if __name__ == "__main__":
    sys.exit(main())
