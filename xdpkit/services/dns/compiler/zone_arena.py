"""Compiles one zone into its arena: a node for each name, with the finished answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from xdpkit.services.dns.compiler import arena, images
from xdpkit.services.dns.compiler.body import Image, ImageTooLarge
from xdpkit.services.dns.compiler.tree import Tree
from xdpkit.services.dns.zonefile.limits import check_output
from xdpkit.services.dns.zonefile.zone import CNAME, DNAME, DS, Zone, find, name_text

# Names between two progress reports.
STEP = 20_000


def _nodes(tree: Tree) -> Iterable[tuple[bytes, int, list[tuple[int | None, Image]]]]:
    """(name, flags, images) of every name in the zone."""
    for name, rrsets in tree.nodes.items():
        try:
            if name in tree.cuts:
                found: list[tuple[int | None, Image]] = []
                if tree.ds(name):
                    found.append((DS, images.positive(tree, name, DS)))
                yield name, arena.CUT, [*found, (None, images.referral(tree, name))]
                continue
            flags = arena.APEX if name == tree.origin else 0
            flags |= arena.ALIAS if find(rrsets, CNAME) else 0
            flags |= arena.DNAME if find(rrsets, DNAME) else 0
            yield name, flags, list(images.node_images(tree, name))
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


def compile_zone(
    zone: Zone,
    fd: int,
    at: int = 0,
    progress: Callable[[int], None] | None = None,
    seed: int | None = None,
) -> int:
    """Writes the arena of a zone into ``fd`` from byte ``at`` on; returns its size in bytes.

    ``at`` is a multiple of 64. ``progress`` is called with the number of nodes so far, every
    20,000. Raises ZoneError if the zone cannot be served.
    """
    tree = Tree(zone)
    writer = arena.Writer(fd, len(tree.nodes), at, seed)
    nxdomain = writer.add_image(images.nxdomain(tree))
    nodata = writer.add_image(images.nodata(tree))
    chain = _ChainWriter(writer, tree)
    offsets: dict[bytes, int] = {}
    """Names that others refer to: enclosers of wildcards, and of names that opt-out omitted."""
    wildcards: dict[bytes, int] = {}
    unproven: dict[int, bytes] = {}
    for count, (name, flags, found) in enumerate(_nodes(tree)):
        if progress is not None and count % STEP == STEP - 1:
            progress(count)
        front, more, provable = chain.denial_fields(name)
        offset = writer.add_node(name, flags | more, found, nodata, front)
        if rrsets := tree.nodes[name]:
            check_output(zone, writer.size, rrsets[0])
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
    fields = arena.ZoneFields(apex, zone.serial, zone.names, nxdomain, nodata, *chain.fields)
    return writer.finish(fields)
