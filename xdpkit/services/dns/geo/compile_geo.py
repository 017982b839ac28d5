"""Compiles a JSON zone into an arena: what a master file's has, and choices (``geo/choice.h``)."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from xdpkit._core._geo_tables import GeoTables
from xdpkit._core._rrset import RRset
from xdpkit._core._zone_images import ArenaTooLarge, ArenaWriter
from xdpkit._core._zone_tree import Tree
from xdpkit.errors import ZoneError
from xdpkit.services.dns.geo.answer_steps import AnswerSteps, StepsTooLarge
from xdpkit.services.dns.geo.classes import Classes, Everybody, Place, nowhere
from xdpkit.services.dns.geo.model import GeoZone
from xdpkit.services.dns.geo.name_answers import NODATA, NameAnswer, NameAnswers, is_hidden
from xdpkit.services.dns.geo.names import key_wire
from xdpkit.services.dns.geo.targets import split_target
from xdpkit.services.dns.zonefile.limits import ARENA_BASE, ARENA_PER_BYTE
from xdpkit.services.dns.zonefile.zone import AAAA, A, Zone

Choices = dict[bytes, tuple[list[tuple[int, int]], int]]


def compile_geo(
    zone: GeoZone,
    fd: int,
    at: int = 0,
    classes: Classes | None = None,
    place: Place = nowhere,
    progress: Callable[[int], None] | None = None,
    seed: int | None = None,
) -> int:
    """Writes the arena of a zone into ``fd`` from byte ``at`` on; returns its size in bytes.

    ``at`` is a multiple of 64; without ``classes``, all clients are one; ``progress`` is called
    with the number of nodes so far, every 20,000. Raises ZoneError if the zone cannot be served.
    """
    classes = classes or Everybody(zone.targeting)
    steps = AnswerSteps(str(zone.path), len(classes.classes))
    answers = NameAnswers(zone, classes, place, steps)
    plain, choices = _answers(zone, answers)
    tables = GeoTables(
        choices,
        steps.draws.list,
        steps.images,
        steps.steps.list,
        steps.variants,
        steps.choices.list,
        steps.statuses.list,
        classes.id,
        len(classes.classes),
    )
    most = ARENA_BASE + ARENA_PER_BYTE * plain.size + 2 * steps.size
    seed = secrets.randbits(64) if seed is None else seed
    try:
        tree = Tree(plain.origin, plain.nodes)
        writer = ArenaWriter(tree, None, fd, at, seed, most, tables if choices else None)
        return writer.write(plain.soa, plain.serial, plain.names, plain.negative_ttl, progress)
    except ArenaTooLarge as error:
        reason = (
            f"the zone has {plain.size} bytes of text, and compiled more than {error.size}: many"
            " names whose answers repeat the same large records; remove some"
        )
        raise ZoneError(zone.path, reason) from None
    except ValueError as error:
        # Only what read_json_zone() should have refused.
        raise ZoneError(zone.path, f"cannot be compiled: {error}") from error


def _answers(zone: GeoZone, answers: NameAnswers) -> tuple[Zone, Choices]:
    """The zone as a master file's would be, without what its names have choices of."""
    nodes: dict[bytes, list[RRset]] = {}
    choices: Choices = {}
    for name, wire in _names(zone).items():
        if zone.cuts and is_hidden(zone, name):
            if glue := answers.plain(name, (A, AAAA)):
                nodes[wire] = glue
            continue
        try:
            found = answers.of(name)
        except StepsTooLarge as error:
            raise ZoneError(zone.path, f"{name or 'the apex'}: {error}") from None
        nodes[wire] = found.rrsets
        if _has_choices(found):
            choices[wire] = (found.choices, found.other)
    plain = Zone(zone.origin, zone.path, nodes, zone.document.size, len(nodes))
    return plain, choices


def _has_choices(found: NameAnswer) -> bool:
    return bool(found.choices) or found.other != NODATA


def _names(zone: GeoZone) -> dict[str, bytes]:
    """Names and wire names, in the file's order: labels, and names that only variants have."""
    found = {"": zone.origin}
    for key, label in zone.labels.items():
        found.setdefault(key, label.wire)
        split = split_target(key, zone.targeting)
        if split is not None and split[0] not in found:
            found[split[0]] = key_wire(split[0], zone.origin)
    return found
