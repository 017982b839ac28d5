"""Compiles one zone into its arena: a node for each name, with the finished answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from xdpkit._core._zone_denial import Flaw
from xdpkit._core._zone_images import ArenaTooLarge, ArenaWriter
from xdpkit.config.dns import NSEC3_ITERATIONS
from xdpkit.errors import ZoneError
from xdpkit.services.dns.compiler.tree import flaw_error, tree_of
from xdpkit.services.dns.zonefile.limits import ARENA_BASE, ARENA_PER_BYTE, check_output
from xdpkit.services.dns.zonefile.zone import Zone


def compile_zone(
    zone: Zone,
    fd: int,
    at: int = 0,
    progress: Callable[[int], None] | None = None,
    seed: int | None = None,
    max_iterations: int = NSEC3_ITERATIONS,
) -> int:
    """Writes the arena of a zone into ``fd`` from byte ``at`` on; returns its size in bytes.

    ``at`` is a multiple of 64; ``max_iterations`` is for NSEC3. ``progress`` is called with the
    number of nodes so far, every 20,000. Raises ZoneError if the zone cannot be served.
    """
    most = ARENA_BASE + ARENA_PER_BYTE * zone.size
    seed = secrets.randbits(64) if seed is None else seed
    denial = None
    try:
        tree, denial = tree_of(zone, max_iterations)
        writer = ArenaWriter(tree, denial, fd, at, seed, most)
        return writer.write(zone.soa, zone.serial, zone.names, zone.negative_ttl, progress)
    except ArenaTooLarge as error:
        check_output(zone, error.size, error.rrset)
        raise
    except Flaw as flaw:
        assert denial is not None
        raise flaw_error(flaw, denial) from None
    except ValueError as error:
        # Only what read_zone() should have refused.
        raise ZoneError(zone.path, f"cannot be compiled: {error}") from error
