"""Nanoseconds of an answer by location and weight, for ``bench --geo``, beside a plain answer's."""

from __future__ import annotations

import marshal
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdpkit._core._answer import answer
from xdpkit._core._offwire import OffWire
from xdpkit._core._snapshot import Snapshot
from xdpkit.bench import cpu, frames, geo_counted, geo_site, offwire
from xdpkit.bench.zones_site import Say
from xdpkit.runtime import child
from xdpkit.services.dns.compiler.zone_arena import compile_zone
from xdpkit.services.dns.geo.compile_geo import compile_geo
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
# These, and the plain cases beside them.
COUNTED = {each for case in (POOL, SHORT) for each in (case.name, case.beside)}


def compile_into(scratch: Path, zones: Path, database: Path) -> None:
    """Compiles both zones and the view of the first for ``geo_counted``."""
    zone = read_json_zone(zones / f"{geo_site.ORIGIN}.json")
    targets = Variants(zone).targets
    view = make_view(read_locations({COUNTRY: database}), targets, zone.targeting)
    plain = read_zone(zones / f"{geo_site.PLAIN}.zone")
    geo_counted.write(
        scratch,
        _arena(lambda fd: compile_geo(zone, fd, classes=view)),
        _arena(lambda fd: compile_zone(plain, fd, 0)),
        view.block,
    )


def _arena(write: Callable[[int], int]) -> bytes:
    fd = os.memfd_create("bench")
    try:
        return os.pread(fd, write(fd), 0)
    finally:
        os.close(fd)


def measure(
    zones: Path, database: Path, scratch: Path, rounds: int, valgrind: str | None, say: Say
) -> list[Facts]:
    """A row for each case: bytes of an answer, best and median nanoseconds; cases take turns.

    With ``valgrind``, instructions where there is a target, and of the plain case beside it.
    Raises XdpkitError if a frame was not answered: its time would measure something else.
    """
    say("off the wire: compiling")
    compile_into(scratch, zones, database)
    snapshot = geo_counted.snapshot_of(scratch)
    running, taken = {}, {case.name: list[float]() for case in CASES}
    with cpu.pinned(cpu.split()[1]):
        for case in CASES:
            asked = frames.frames("dns", case.queries())
            running[case.name] = OffWire(snapshot, asked, geo_counted.state())
            running[case.name].run(ANSWERS, BATCH)
        for number in range(rounds):
            for name, each in running.items():
                say(f"off the wire, round {number + 1} of {rounds}: {name}")
                taken[name].append(each.run(ANSWERS, BATCH))
    for name, each in running.items():
        offwire.check_answered(name, each)
    rows = [row(case, snapshot, taken) for case in CASES]
    for case, facts in zip(CASES, rows, strict=True):
        if valgrind and case.name in COUNTED:
            say(f"off the wire: {case.name} (valgrind)")
            facts["instructions"] = instructions(valgrind, case, scratch)
    return rows


def instructions(valgrind: str, case: Case, scratch: Path) -> float:
    """Instructions per answer. Raises XdpkitError with the last line of valgrind's output."""
    sample = scratch / "frames"
    sample.write_bytes(marshal.dumps(frames.frames("dns", case.queries())))
    arguments = (str(sample), str(scratch), str(offwire.COUNTED))
    command = child.python("xdpkit.bench.geo_counted", *arguments)
    return offwire.instructions_of(valgrind, command)


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
