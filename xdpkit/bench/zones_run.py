"""``bench --zones``: many small zones, in our server and in others on the same files.

Starts and memory, an edit of one zone, aliases to large answers, answers from one zone and from
many, and what is lost while zones are compiled.
"""

from __future__ import annotations

import json
import os
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

from xdpkit.bench import (
    zones_arena,
    zones_edit,
    zones_large,
    zones_load,
    zones_rates,
    zones_servers,
    zones_start,
)
from xdpkit.bench.zones_show import show
from xdpkit.bench.zones_site import Say, Site
from xdpkit.errors import UsageError
from xdpkit.loadgen.figures import ratio

__all__ = ["measure", "show"]

ROUNDS, SECONDS = 3, 1.0
# Edits of one zone each, in a round: most are over in a moment.
EDITS = 2
# The names of a large zone, at most, for each of the many: a million beside 10,000.
LARGE_PER_ZONE = 100
# The figures of an earlier run that the same ones of this run are divided by.
AGAINST = ("ns_per_answer", "instructions_per_answer", "answers_per_s", "arena_bytes")

Facts = dict[str, Any]


def measure(options: Namespace, say: Say) -> Facts:
    """All parts, one after the other; ``failed`` lists zones without a right answer."""
    rounds, seconds = options.rounds or ROUNDS, options.seconds or SECONDS
    before = read_earlier(options.against) if options.against else None
    servers, skipped = zones_servers.installed_servers()
    with tempfile.TemporaryDirectory(prefix="xdpkit-zones-") as temporary:
        scratch = Path(temporary)
        site = Site(scratch / "zones", options.zone_count, say)
        rates = zones_rates.measure(site, scratch, rounds, seconds, say)
        facts: Facts = {
            "zones": site.count,
            "rounds": rounds,
            "seconds": seconds,
            "skipped": skipped,
            "load_average": os.getloadavg()[0],
            **rates,
            "alias": zones_arena.measure_alias(zones_arena.ALIASES, say),
            "zone_starts": zones_start.measure(servers, site, scratch, rounds, say),
            "zone_edits": zones_edit.measure(servers, site, scratch, EDITS * rounds, say),
        }
        largest = LARGE_PER_ZONE * site.count
        facts["large_zones"] = zones_large.measure(servers, scratch, rounds, largest, say)
        # As many names as that are enough to compile all through the load.
        names = min(zones_load.NAMES, 10 * site.count)
        facts["compiling"] = zones_load.while_compiling(scratch, rounds, names, say)
        edits = min(zones_load.EDITS, site.count)
        facts["random_edits"] = zones_load.random_edits(site, scratch, edits, options.load, say)
    facts["over_others"] = over_others(facts)
    if before:
        facts["over_earlier"] = over_earlier(facts, before)
    return facts | {"failed": failures(facts)}


def over_others(facts: Facts) -> dict[str, dict[str, float]]:
    """Our seconds and bytes over those of each other server."""
    ours, *others = facts["zone_starts"]
    edits = {each["name"]: each["new_answer_s"] for each in facts["zone_edits"]}
    return {
        each["name"]: {
            "first_start": ratio(ours["first_s"], each["first_s"]),
            "cached_start": ratio(ours["again_s"], each["first_s"]),
            "resident": ratio(ours["resident_bytes"], each["resident_bytes"]),
            "new_answer": ratio(edits["xdpkit"], edits[each["name"]]),
        }
        for each in others
    }


def over_earlier(facts: Facts, before: Facts) -> dict[str, dict[str, float]]:
    """This run's figures of rates over those of an earlier run, of the same number of zones."""
    old = {each["name"]: each for each in before["rates"]}
    return {
        each["name"]: {
            key: ratio(each[key], old[each["name"]][key])
            for key in AGAINST
            if key in each and key in old[each["name"]]
        }
        for each in facts["rates"]
        if each["name"] in old
    }


def read_earlier(path: Path) -> Facts:
    """The bench.json of an earlier run. Raises UsageError."""
    try:
        found = json.loads(path.read_text())
        if isinstance(found, dict) and "rates" in found:
            return found
        reason = "is not of bench --zones"
    except OSError as error:
        reason = str(error.strerror)
    except ValueError:
        reason = "is not JSON"
    raise UsageError(f"--against {path}: {reason}: name the bench.json of an earlier run")


def failures(facts: Facts) -> list[str]:
    """What makes the run fail: zones that were silent, replies that were wrong."""
    found = [
        f"{each['name']}: {each[key]:,.0f} zones gave no right answer"
        for each in facts["zone_starts"]
        for key in ("silent_max", "one_silent_max")
        if each.get(key)
    ]
    wrong = {each["name"]: each["wrong"] for each in facts["rates"]}
    wrong["compiling"] = facts["compiling"]["total"]["wrong"]
    wrong["random edits"] = facts["random_edits"]["wrong"]
    return found + [f"{name}: {count:,} wrong replies" for name, count in wrong.items() if count]
