"""``bench --reloads``: zones that change under load, an NTP pool's, and a million names.

Every reply is checked: the right question, complete, all records from one version of the zone.
"""

from __future__ import annotations

import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console

from xdpkit.bench import cpu, geo_reloads, reloading, rows, testbed, versions
from xdpkit.bench.reloading import outcome, reload
from xdpkit.bench.steady_load import steady_load
from xdpkit.bench.table import text_table
from xdpkit.loadgen.figures import spread
from xdpkit.services.dns.serving.batch import Progress
from xdpkit.services.dns.serving.store import load_zones

RELOADS, NAMES = 100, 10_000
STARTS, MANY = 5, 1_000_000

# Divides the first part's rate: reloading many names takes a while, and shares the server's CPU.
MANY_RATE = 5

SETTLE_SECONDS = 0.5

Say = Callable[[str], None]
Facts = dict[str, Any]


def measure(options: Namespace, say: Say) -> Facts:
    """All parts; ``failed`` lists what was lost or answered incorrectly."""
    facts = {
        "reloads": repeated_reloads(options.rounds or RELOADS, NAMES, options.load, say),
        "many": many_names(MANY, options.load // MANY_RATE, say),
        **geo_reloads.measure(options.rounds or RELOADS, options.load, say),
    }
    return {"mode": facts["reloads"].pop("mode")} | facts | {"failed": failures(facts)}


def failures(facts: Facts) -> list[str]:
    """What makes the run fail."""
    return [
        *reloading.failures("reloads", facts["reloads"]),
        *reloading.failures("many names", facts["many"]["reload"]),
        *geo_reloads.failures(facts),
    ]


def repeated_reloads(reloads: int, names: int, rate: int, say: Say) -> Facts:
    """Changes and reloads a zone of ``names`` names ``reloads`` times, under a request load."""
    with tempfile.TemporaryDirectory(prefix="xdpkit-bench-") as scratch:
        site = Site(Path(scratch), names)
        site.write(1)
        with site.served() as entry:
            facts = under_load(entry, site, reloads, rate, say)
            return {"mode": entry.mode, "names": names} | facts


def many_names(names: int, rate: int, say: Say) -> Facts:
    """A large zone: loaded first, then from the cache, then reloaded under a request load."""
    with tempfile.TemporaryDirectory(prefix="xdpkit-bench-") as scratch:
        site = Site(Path(scratch), names)
        site.write(1)

        def report(progress: Progress) -> None:
            say(f"{names:,} names: {progress.share:.0%} compiled")

        first = anyio.run(load_zones, site.zones, site.cache, report)
        starts = []
        for _ in range(STARTS):
            say(f"{names:,} names: taken from the cache")
            load = anyio.run(load_zones, site.zones, site.cache)
            if not load.compiled:
                starts.append(load.seconds)
            del load
        facts: Facts = {
            "names": first.names,
            "bytes": first.size,
            "first_load_s": round(first.seconds, 3),
            **spread("cached_load_s", starts or [0.0]),
        }
        del first
        with site.served() as entry:
            assert entry.served is not None  # it is ours
            status = entry.served.status()
            facts["source"] = status["dns"]["arena"]["source"]
            facts["start_load_s"] = status["dns"]["arena"]["load_s"]
            facts["resident_bytes"] = resident_bytes(entry.served.pid)
            facts["reload"] = under_load(entry, site, 1, rate, say)
            facts["resident_bytes_after"] = resident_bytes(entry.served.pid)
        return facts


class Site:
    """A zone that exists in many versions, and its compiled cache."""

    def __init__(self, scratch: Path, names: int) -> None:
        self.zones, self.cache = scratch / "zones", scratch / "cache"
        self.zones.mkdir()
        self._names = names

    def write(self, version: int) -> None:
        """Replaces the zone file with this version."""
        path = self.zones / f"{versions.ORIGIN}.zone"
        part = path.with_suffix(".part")
        part.write_text(versions.zone_text(version, self._names))
        part.rename(path)

    @contextmanager
    def served(self) -> Iterator[testbed.Entry]:
        """A server for it on its own CPU, which the zone compiler shares."""
        dns = f'[dns]\nzones = "{self.zones}"\ncache = "{self.cache}"\nwatch = false\n'
        row = rows.Row("reloads", "dns", 53, versions.queries(self._names))
        server = rows.OwnServer(rows.configuration(dns), (row,))
        with testbed.own_server(server, cpu.split()[1], [row.name]) as [entry]:
            yield entry


def under_load(entry: testbed.Entry, site: Site, reloads: int, rate: int, say: Say) -> Facts:
    """Loads ``reloads`` new versions while requests arrive at a rate; all replies are checked."""
    assert entry.served is not None  # it is ours
    generator, seconds = entry.generator, list[float]()
    generator.watch_versions()
    started = time.monotonic()
    with steady_load(generator, rate):
        for version in range(2, reloads + 2):
            site.write(version)
            say(f"{reloads - version + 2} reloads to go at {rate:,} requests/s")
            seconds.append(reload(entry.served))
        # Lets replies from the last version arrive too.
        time.sleep(SETTLE_SECONDS)
    taken = round(time.monotonic() - started, 3)
    return {"seconds": taken} | outcome(generator, seconds, rate)


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, in bytes (proc_pid_status(5))."""
    text = Path(f"/proc/{pid}/status").read_text()
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


# --------------------------------------------------------------------------------------------------


def show(facts: Facts, console: Console) -> None:
    """Prints the facts for a human reader: one table per part."""
    console.print(
        f"zones, {facts['driver']}, {facts['mode']}; Linux {facts['kernel']}, {facts['cpu']}; "
        f"generator on CPU {facts['cpus']['generator']}, server and compiler on "
        f"{facts['cpus']['server']}\n"
    )
    heading = f"{facts['reloads']['reloads']} reloads of {facts['reloads']['names']:,} names"
    console.print(text_table([heading, ""], reloading.table_rows(facts["reloads"])))
    console.print()
    part = facts["many"]
    console.print(
        text_table(
            [f"{part['names']:,} names, {part['bytes']:,} bytes", ""],
            [
                ["first load, s", f"{part['first_load_s']:.1f}"],
                [
                    "from the cache, s: median (least..most)",
                    f"{part['cached_load_s']:.2f} ({part['cached_load_s_min']:.2f}"
                    f"..{part['cached_load_s_max']:.2f})",
                ],
                [f"start of a server, from the {part['source']}, s", f"{part['start_load_s']:.2f}"],
                ["resident, MB: at start", f"{part['resident_bytes'] / 1e6:,.0f}"],
                ["resident, MB: after a reload", f"{part['resident_bytes_after'] / 1e6:,.0f}"],
                *reloading.table_rows(part["reload"]),
            ],
        )
    )
    for table in geo_reloads.tables(facts):
        console.print()
        console.print(table)
