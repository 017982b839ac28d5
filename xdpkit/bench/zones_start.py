"""Starts of ``bench --zones``: until the last of many zones answers, and memory then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdpkit.bench import zones_servers
from xdpkit.bench.zones_servers import Running, Server, await_answers, in_lab, memory
from xdpkit.bench.zones_site import Say, Site
from xdpkit.loadgen.figures import spread

# Memory is read once the server has come to rest: a compiler that has just ended is no part of it.
REST_SECONDS = 1.0

Facts = dict[str, Any]


def measure(
    servers: Sequence[Server], site: Site, scratch: Path, rounds: int, say: Say
) -> list[Facts]:
    """A row for each server: with all zones, and with one; the servers take turns."""
    one = Site(scratch / "one", 1, say)
    taken: dict[str, list[Facts]] = {server.name: [] for server in servers}
    for number in range(rounds):
        for server in servers:
            say(f"starts, round {number + 1} of {rounds}: {server.name}")
            here = scratch / f"{server.name}-{number}"
            alone = start_twice(server, one, here.with_suffix(".one"), say)
            facts = start_twice(server, site, here, say)
            taken[server.name].append(facts | {f"one_{key}": alone[key] for key in alone})
    return [row(server, taken[server.name]) for server in servers]


def start_twice(server: Server, site: Site, directory: Path, say: Say) -> Facts:
    """Seconds of a first start, memory then, and seconds of a second start if it keeps a cache."""
    with in_lab(server, site, directory) as running:
        facts: Facts = {"first_s": start(running, say)}
        time.sleep(REST_SECONDS)
        facts["resident_bytes"] = memory(running.pids())
        facts["silent"] = len(running.asker.unanswered(range(site.count)))
        if server.ours:
            facts["cache_bytes"] = settled_cache(running, say)
        running.stop()
        if server.ours:
            facts["again_s"] = start(running, say)
            time.sleep(REST_SECONDS)
            facts["again_resident_bytes"] = memory(running.pids())
    return facts


def settled_cache(running: Running, say: Say) -> int:
    """Bytes of the cache once nothing is added any more: it is written while zones are served."""
    before, now = -1, 0
    while now != before:
        say(f"waiting for the cache: {now:,} bytes")
        time.sleep(REST_SECONDS)
        before, now = now, zones_servers.cache_bytes(running.cache)
    return now


def start(running: Running, say: Say) -> float:
    """Seconds from the process's start until all zones of a sample have answered."""
    begin = running.start()
    return await_answers(running, running.site.sample(), say) - begin


def row(server: Server, taken: Sequence[Facts]) -> Facts:
    """Median, least and most of each figure."""
    made: Facts = {"name": server.name, "server": server.version}
    for facts in taken:
        # What the zones cost: the interpreter and the XDP program are in both.
        for key in ("first_s", "again_s"):
            if key in facts:
                facts[f"beyond_one_{key}"] = facts[key] - facts[f"one_{key}"]
    for key in taken[0]:
        made |= spread(key, [facts[key] for facts in taken])
    return made
