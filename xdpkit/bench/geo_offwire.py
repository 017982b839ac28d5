"""Nanoseconds of an answer by location and weight, for ``bench --geo``, beside a plain answer's."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdpkit._core._answer import answer
from xdpkit._core._geo_selection import Selection, status_names
from xdpkit._core._geo_serving import GeoServing
from xdpkit._core._geo_view import GeoView
from xdpkit._core._offwire import OffWire
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._stats import VERDICTS
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._zones import ZoneArena, ZoneDirectory, ZoneServing
from xdpkit.bench import cpu, frames, geo_site
from xdpkit.bench.counted import PORTS
from xdpkit.bench.zones_site import Say
from xdpkit.errors import XdpkitError
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.geo.compile_geo import compile_geo
from xdpkit.services.dns.geo.health import Status
from xdpkit.services.dns.geo.location_db import COUNTRY
from xdpkit.services.dns.geo.locations import read_locations
from xdpkit.services.dns.geo.variants import Variants
from xdpkit.services.dns.geo.view import make_view
from xdpkit.services.dns.geo.zone_json import read_json_zone
from xdpkit.services.dns.zonefile.read import read_zone

BATCH = 64
# As many as in the other off-wire measurements: their memory is part of the time.
FRAMES = 4096
# Answers timed in one round: a multiple of the batch and of the number of frames. Few, and many
# rounds: in some of them nothing else wants the CPU, even on a busy machine.
ANSWERS = 1 << 14
ROUNDS = 100
# Draws are the same in each run.
SEED = 1

Facts = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What is asked for; ``beside`` is the case of the same shape that it is compared with."""

    name: str
    label: str
    origin: str
    subnets: bool
    beside: str | None = None

    def queries(self) -> list[bytes]:
        """With distinct IDs."""
        asked = geo_site.queries(self.label, self.origin, self.subnets)
        return [
            (number & 0xFFFF).to_bytes(2, "big") + asked[number % len(asked)][2:]
            for number in range(FRAMES)
        ]


def _cases() -> tuple[Case, ...]:
    made = []
    for subnets, how in ((True, "client subnet"), (False, "no subnet")):
        for label, what in (("all", "all servers"), ("short", f"{geo_site.SHORT} servers")):
            plain = f"plain {label}, {how}"
            made.append(Case(plain, label, geo_site.PLAIN, subnets))
            made.append(Case(f"4 of {what}, {how}", label, geo_site.ORIGIN, subnets, plain))
    return tuple(made)


CASES = _cases()
POOL, SHORT = CASES[1], CASES[3]


def snapshot_of(zones: Path, database: Path) -> Snapshot:
    """Serves both zones as ``xdpkit run`` does, with locations and client subnets."""
    zone = read_json_zone(zones / f"{geo_site.ORIGIN}.json")
    targets = Variants(zone).targets
    view = make_view(read_locations({COUNTRY: database}), targets, zone.targeting)
    arena = _arena(lambda fd: compile_geo(zone, fd, classes=view))
    plain = _arena(lambda fd: compile_zone(read_zone(zones / f"{geo_site.PLAIN}.zone"), fd, 0))
    healthy = bytes([Status.HEALTHY]) * len(status_names(arena))
    serving: dict[bytes, ZoneServing] = {
        arena.name: GeoServing(Selection(arena, healthy), GeoView(view.block))
    }
    directory = ZoneDirectory([(each.name, each) for each in (arena, plain)], serving)
    dns = {"ecs": 1, "cookie_secrets": (bytes(range(16)),)}
    return Snapshot(PORTS, zones=directory, dns=dns)


def _arena(write: Any) -> ZoneArena:
    fd = os.memfd_create("bench")
    try:
        return ZoneArena(os.pread(fd, write(fd), 0))
    finally:
        os.close(fd)


def measure(zones: Path, database: Path, rounds: int, say: Say) -> list[Facts]:
    """A row for each case: bytes of an answer, best and median nanoseconds; cases take turns.

    Raises XdpkitError if a frame was not answered: its time would measure something else.
    """
    say("off the wire: compiling")
    snapshot = snapshot_of(zones, database)
    running, taken = {}, {case.name: list[float]() for case in CASES}
    with cpu.pinned(cpu.split()[1]):
        for case in CASES:
            state = ThreadState(answers=1 << 16)
            state.seed_draws(SEED)
            running[case.name] = OffWire(snapshot, frames.frames("dns", case.queries()), state)
            running[case.name].run(ANSWERS, BATCH)
        for number in range(rounds):
            for name, each in running.items():
                say(f"off the wire, round {number + 1} of {rounds}: {name}")
                taken[name].append(each.run(ANSWERS, BATCH))
    for name, each in running.items():
        check(name, each)
    return [row(case, snapshot, taken) for case in CASES]


def check(name: str, offwire: OffWire) -> None:
    """Raises XdpkitError if not all frames were answered."""
    counts = offwire.counters()["verdicts"]
    unanswered = {
        verdict.name: count
        for verdict, count in zip(VERDICTS, counts, strict=False)
        if count and verdict.kind != "answer"
    }
    if unanswered:
        raise XdpkitError(f"{name}: not all frames were answered: {unanswered}")


def row(case: Case, snapshot: Snapshot, taken: dict[str, list[float]]) -> Facts:
    """The best and the median; the ratio of the bests to that of the case beside it."""
    facts: Facts = {
        "name": case.name,
        "reply_bytes": reply_bytes(snapshot, case.queries()),
        "ns": min(taken[case.name]),
        "ns_median": statistics.median(taken[case.name]),
    }
    if case.beside:
        facts["over_plain"] = facts["ns"] / min(taken[case.beside])
    return facts


def reply_bytes(snapshot: Snapshot, asked: Sequence[bytes], most: int = 256) -> float:
    """The mean size of the first replies."""
    sizes = [len(answer(snapshot, "dns", each)[1] or b"") for each in asked[:most]]
    return sum(sizes) / len(sizes)
