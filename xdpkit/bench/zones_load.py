"""Zones that are compiled while queries arrive, for ``bench --zones``: what is lost, and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from xdpkit._core._loadgen import Generator
from xdpkit.bench import cpu, versions, zones_edit, zones_site
from xdpkit.bench.steady_load import steady_load
from xdpkit.bench.zones_rates import generator
from xdpkit.bench.zones_servers import Running, memory, own_server, started
from xdpkit.bench.zones_site import Say, Site
from xdpkit.control.client import request
from xdpkit.errors import LabError
from xdpkit.loadgen.figures import spread
from xdpkit.loadgen.queries import draw

# A large zone is compiled on the CPU that answers so many queries within so many seconds.
NAMES, QUERIES, SECONDS = 100_000, 150_000, 2.0
# By then the compiler runs: it starts an interpreter first.
HEAD_START = 0.3
RELOAD_SECONDS = 600.0

EDITS = 100
# Between two edits.
EVERY_SECONDS = 0.1
# Edits before memory is read: the first ones make what the others use again.
WARM_UP = 10
SETTLE_SECONDS = 1.0

COUNTED = ("sent", "answered", "wrong", "duplicate", "late", "lost")

Facts = dict[str, Any]


def while_compiling(scratch: Path, rounds: int, names: int, say: Say) -> Facts:
    """Queries at a steady rate to a server that shares its one CPU with the compiler."""
    site = Site(scratch / "compiling", 1, say)
    write_large(site, 1, names)
    totals, reloads, lost = dict.fromkeys(COUNTED, 0), list[float](), list[float]()
    with ExitStack() as stack:
        say(f"compiling under load: starting with {names:,} names")
        directory, server_cpu = scratch / "compiling-server", cpu.split()[1]
        running = stack.enter_context(started(own_server(), site, directory, say, [server_cpu]))
        load = generator(running, draw([zones_site.question(0)]), stack)
        idle = dict.fromkeys(COUNTED, 0)
        for number in range(rounds):
            add(idle, send(load))
            say(f"compiling {names:,} names under load, round {number + 1} of {rounds}")
            write_large(site, number + 2, names)
            reloads.append(compile_under_load(running, load))
            lost.append(load.counters()["lost"])
            add(totals, load)
    return {
        "names": names,
        "rounds": rounds,
        "queries": QUERIES,
        "seconds": SECONDS,
        "total": totals,
        "idle": idle,
        **spread("lost", lost),
        **spread("reload_s", reloads),
    }


def write_large(site: Site, version: int, names: int) -> None:
    """Replaces the large zone's file by another version."""
    path = site.directory / f"{versions.ORIGIN}.zone"
    part = path.with_suffix(".part")
    part.write_text(versions.zone_text(version, names))
    os.replace(part, path)  # noqa: PTH105


def compile_under_load(running: Running, load: Generator) -> float:
    """Sends the queries while the zones are reloaded; returns the seconds that the reload took."""

    def reload() -> float:
        begin = time.monotonic()
        with running.lab.server.entered():
            request(running.lab.server.ifname, "reload", time_limit=RELOAD_SECONDS)
        return time.monotonic() - begin

    with ThreadPoolExecutor(1) as thread:
        reloading = thread.submit(reload)
        time.sleep(HEAD_START)
        send(load)
        return reloading.result()


def send(load: Generator, rate: int = round(QUERIES / SECONDS)) -> Generator:
    """Sends queries for some seconds; all replies are in when it returns."""
    load.clear()
    with cpu.pinned(cpu.split()[0]):
        load.run(SECONDS, rate=rate, window=0)
        load.finish(2.0, quiet=1.0)
    return load


def add(totals: dict[str, int], load: Generator) -> None:
    """Adds what became of the queries since the generator was cleared."""
    counters = load.counters()
    for key in COUNTED:
        totals[key] += counters[key]


# --------------------------------------------------------------------------------------------------


def random_edits(site: Site, scratch: Path, edits: int, rate: int, say: Say) -> Facts:
    """Edits of random zones under load: all must show, none may cost an answer, or memory."""
    chosen = site.chosen(edits, seed=2)
    with ExitStack() as stack:
        say("random edits: starting")
        directory, server_cpu = scratch / "random-edits", cpu.split()[1]
        running = stack.enter_context(started(own_server(), site, directory, say, [server_cpu]))
        queries = draw([zones_site.question(number) for number in range(site.count)])
        load = generator(running, queries, stack)
        edit_all(running, site.chosen(WARM_UP, seed=3), say)
        time.sleep(SETTLE_SECONDS)
        idle = dict.fromkeys(COUNTED, 0)
        add(idle, send(load, rate))
        load.clear()
        before = memory(running.pids())
        begin = time.monotonic()
        with steady_load(load, rate):
            slowest = edit_all(running, chosen, say)
            seconds = time.monotonic() - begin
        time.sleep(SETTLE_SECONDS)
        after = memory(running.pids())
    counters = load.counters()
    return {
        "edits": len(chosen),
        "rate_per_s": rate,
        "seconds": seconds,
        "last_shown_s": slowest,
        "idle": idle,
        **{key: counters[key] for key in COUNTED},
        "latency_max_us": load.latency_ns(100) / 1000,
        "p99_9_us": load.latency_ns(99.9) / 1000,
        "resident_before": before,
        "resident_after": after,
    }


def edit_all(running: Running, chosen: Sequence[int], say: Say) -> float:
    """Edits these zones, one after the other; seconds from the last edit until all show.

    Raises LabError if one of them never does.
    """
    site = running.site
    wanted: dict[int, str] = {}
    for count, number in enumerate(chosen):
        if count % 10 == 0:
            say(f"random edits: {count} of {len(chosen)}")
        wanted[number] = site.edit(number)
        time.sleep(EVERY_SECONDS)
    return await_edits(running, wanted, say)


def await_edits(
    running: Running,
    wanted: dict[int, str],
    say: Say,
    now: Callable[[], float] = time.monotonic,
) -> float:
    """Seconds until each zone answers with its address. Raises LabError."""
    begin = said = now()
    while wanted:
        for number, address in [*wanted.items()]:
            if running.asker.answers(number, address):
                del wanted[number]
        if now() - begin > zones_edit.NEW_SECONDS or not running.is_alive():
            raise LabError(f"{len(wanted)} edits did not show in {now() - begin:.0f} s")
        if now() - said > 1:
            said = now()
            say(f"random edits: {len(wanted)} are still to show after {said - begin:.0f} s")
        time.sleep(zones_site.AGAIN_SECONDS)
    return now() - begin
