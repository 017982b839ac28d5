"""Answers from one zone and from many, for ``bench --zones``: off the wire, and on it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu, frames, offwire, probe, speed, testbed, zones_arena, zones_site
from xdpkit.bench.rows import Row
from xdpkit.bench.zones_servers import Running, own_server, started
from xdpkit.bench.zones_site import Say, Site
from xdpkit.loadgen.figures import ratio, spreads
from xdpkit.loadgen.queries import draw

# The batch whose time is compared.
BATCH = 64

Facts = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What is asked for: a site whose zones are all equally likely."""

    name: str
    site: Site

    def queries(self) -> list[bytes]:
        """Queries in random order."""
        return draw([zones_site.question(number) for number in range(self.site.count)])


def measure(site: Site, scratch: Path, rounds: int, seconds: float, say: Say) -> Facts:
    """A row for one zone, and one for all; the ratio of the second to the first."""
    one = Kind("1 zone", Site(scratch / "rates-one", 1, say))
    kinds = (one, Kind(f"{site.count:,} zones", site))
    rows: dict[str, Facts] = {
        kind.name: {"name": kind.name} | off_wire(kind, scratch, rounds, say) for kind in kinds
    }
    mode, on_wire = answers(kinds, scratch, rounds, seconds, say)
    for name, found in on_wire.items():
        rows[name] |= found
    first, last = rows.values()
    compared = {
        key: ratio(last[key], first[key])
        for key in ("ns_per_answer", "instructions_per_answer", "answers_per_s")
        if key in last
    }
    return {"mode": mode, "rates": [*rows.values()], "many_over_one": compared}


def off_wire(kind: Kind, scratch: Path, rounds: int, say: Say) -> Facts:
    """Nanoseconds per answer, and instructions where valgrind is installed."""
    arena = scratch / f"{kind.site.count}.arena"
    files = [kind.site.path(number) for number in range(kind.site.count)]
    size = zones_arena.write(files, arena, say)
    say(f"off the wire: {kind.name}")
    payloads = [
        (number & 0xFFFF).to_bytes(2, "big") + query[2:]
        for number, query in enumerate(kind.queries())
    ]
    case = offwire.Case(kind.name, frames.frames("dns", payloads), arena)
    # Memory and caches are others' too: a few more rounds than on the wire cost little.
    times = offwire.times(case, max(rounds, offwire.ROUNDS))[str(BATCH)]
    facts: Facts = {
        "arena_bytes": size,
        "ns_per_answer": times["best"],
        "ns_per_answer_median": times["median"],
    }
    if valgrind := shutil.which("valgrind"):
        say(f"off the wire: {kind.name} (valgrind)")
        facts["instructions_per_answer"] = offwire.instructions(valgrind, case, scratch)
    return facts


def answers(
    kinds: Sequence[Kind], scratch: Path, rounds: int, seconds: float, say: Say
) -> tuple[str, dict[str, Facts]]:
    """How the program is attached; answers per second of each, all servers up, in turn."""
    with ExitStack() as stack:
        generators: dict[str, Generator] = {}
        for kind in kinds:
            say(f"answers: starting xdpkit with {kind.name}")
            here = scratch / f"answers-{kind.site.count}"
            server = own_server()
            server_cpu = cpu.split()[1]
            running = stack.enter_context(started(server, kind.site, here, say, [server_cpu]))
            generators[kind.name] = generator(running, kind.queries(), stack)
        mode = attached(running)
        taken: dict[str, list[Facts]] = {kind.name: [] for kind in kinds}
        with cpu.pinned(cpu.split()[0]):
            for number in range(rounds):
                for name, each in generators.items():
                    say(f"answers, round {number + 1} of {rounds}: {name}")
                    probe.run(each, seconds / 10, window=speed.WINDOW)
                    found = probe.run(each, seconds, window=speed.WINDOW)
                    taken[name].append({"answers_per_s": found.answers_per_s, "wrong": found.wrong})
    return mode, {
        name: {"wrong": sum(each.pop("wrong") for each in found)} | spreads(found)
        for name, found in taken.items()
    }


def generator(running: Running, queries: Sequence[bytes], stack: ExitStack) -> Generator:
    """The load generator for a server, which stays until the stack is closed."""
    load = testbed.client_load(running.lab, stack)
    return testbed.generator(running.lab, load, Row("zones", "dns", 53, queries))


def attached(running: Running) -> str:
    """How the program of our server is attached, such as "native, copy"."""
    status = running.status()
    return f"{status['mode']}, {'zero-copy' if status['zerocopy'] else 'copy'}"
