"""Answers per second by location and weight, for ``bench --geo``, beside plain ones and knotd's.

One queue, one CPU for each server; all servers are up, and take turns within a round.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xdpkit.bench import cpu, geo_knotd, geo_site, probe, rows, speed, testbed
from xdpkit.bench.probe import Probe
from xdpkit.bench.testbed import Entry
from xdpkit.bench.zones_site import Say
from xdpkit.errors import LabError
from xdpkit.loadgen.figures import ratio, spreads

SLICES = 5
PLAIN, GEO, SHORT = "plain", "geo", "geo, short list"
_CONFIGURATION = '[ntp]\n[dns]\nzones = "zones"\ngeoip = "{geoip}"\n[dns.geo]\n'

Facts = dict[str, Any]


@dataclass
class Taken:
    """The figures of a server, one dict per round, and how many replies were not right."""

    entry: Entry
    rounds: list[dict[str, float]] = field(default_factory=list)
    wrong: int = 0
    lost: int = 0

    def count(self, measured: Probe) -> Probe:
        """Adds a probe's counts of what was not right."""
        self.wrong += measured.wrong + measured.duplicate
        self.lost += measured.sent - measured.replied
        return measured


def configuration(geoip: Path) -> str:
    """Of our server, with NTP; ``geoip`` is the directory of databases."""
    return rows.configuration(_CONFIGURATION.replace("{geoip}", str(geoip)))


def own_server(zone: dict[str, Any], geoip: Path) -> rows.OwnServer:
    """Our server with the pool's zone and the plain one."""
    kinds = (
        (PLAIN, "all", geo_site.PLAIN),
        (GEO, "all", geo_site.ORIGIN),
        (SHORT, "short", geo_site.ORIGIN),
    )
    return rows.OwnServer(
        configuration(geoip),
        tuple(_row(name, label, origin) for name, label, origin in kinds),
        {
            f"zones/{geo_site.ORIGIN}.json": json.dumps(zone, separators=(",", ":")),
            f"zones/{geo_site.PLAIN}.zone": geo_site.plain_zone(),
        },
    )


def _row(name: str, label: str, origin: str) -> rows.Row:
    return rows.Row(name, "dns", 53, geo_site.queries(label, origin, subnets=True))


def measure(
    zone: dict[str, Any], geoip: Path, rounds: int, seconds: float, load: int, say: Say
) -> Facts:
    """``rates``: a row for each kind of answer; ``mode``; ``skipped``: servers not measured."""
    [database] = geoip.iterdir()
    others, skipped = geo_knotd.installed(zone, database)
    here = shutil.which("geodns")
    skipped["GeoDNS"] = f"{here}: how to start it is not known here" if here else "not installed"
    server, server_cpu = own_server(zone, geoip), cpu.split()[1]
    with ExitStack() as stack:
        say("answers: starting xdpkit")
        names = [row.name for row in server.rows]
        entries = stack.enter_context(testbed.own_server(server, server_cpu, names))
        for peer in others:
            say(f"answers: starting {peer.name}")
            row = _row(peer.name, "all", geo_site.ORIGIN)
            try:
                entries += stack.enter_context(testbed.peer_server(peer, row, server_cpu))
            except LabError as error:
                skipped[peer.name] = str(error)
        taken = {entry.row.name: Taken(entry) for entry in entries}
        with cpu.pinned(cpu.split()[0]):
            for number in range(rounds):

                def report(what: str, number: int = number) -> None:
                    say(f"answers, round {number + 1} of {rounds}: {what}")

                _round([*taken.values()], seconds, load, report)
    compare(taken)
    made = [_facts(each) for each in taken.values()]
    return {"mode": entries[0].mode, "rates": made, "skipped": skipped}


def _round(taken: Sequence[Taken], seconds: float, load: int, say: Say) -> None:
    """As fast as each server answers, and its CPU time at a rate that is the same for all.

    In slices, for which the servers take turns: rates drift within seconds.
    """
    rates: dict[str, list[float]] = {each.entry.row.name: [] for each in taken}
    for _ in range(SLICES):
        for each in taken:
            say(f"rate: {each.entry.row.name}")
            probe.run(each.entry.generator, seconds / SLICES / 10, window=speed.WINDOW)
            fast = probe.run(each.entry.generator, seconds / SLICES, window=speed.WINDOW)
            rates[each.entry.row.name].append(each.count(fast).answers_per_s)
    for each in taken:
        say(f"CPU time: {each.entry.row.name}")
        before = each.entry.cpu_used()
        steady = each.count(probe.run(each.entry.generator, seconds, rate=load))
        used = each.entry.cpu_used().per_answer(before, steady.replied)
        each.rounds.append(
            {
                "answers_per_s": sum(rates[each.entry.row.name]) / SLICES,
                "cpu_us_per_answer": used["cpu_us_per_answer"],
            }
        )


def compare(taken: dict[str, Taken]) -> None:
    """Adds the ratios within each round: to the plain answers, and ours to each other server's."""
    for number, plain in enumerate(taken[PLAIN].rounds):
        ours = taken[GEO].rounds[number]
        for name, each in taken.items():
            figures = each.rounds[number]
            if name in (GEO, SHORT):
                figures["over_plain"] = ratio(figures["answers_per_s"], plain["answers_per_s"])
            elif name != PLAIN:
                for key in ("answers_per_s", "cpu_us_per_answer"):
                    figures[f"ours_over_{key}"] = ratio(ours[key], figures[key])


def _facts(taken: Taken) -> Facts:
    return {
        "name": taken.entry.row.name,
        "server": taken.entry.server,
        "wrong": taken.wrong,
        "lost": taken.lost,
        **spreads(taken.rounds),
    }


def failures(rates: Sequence[Facts]) -> list[str]:
    """What makes the run fail: answers of ours that were wrong, servers that did not answer."""
    return [f"{row['name']}: {row['wrong']:,} wrong replies" for row in rates if row["wrong"]] + [
        f"{row['name']}: no right reply at all" for row in rates if not row["answers_per_s"]
    ]
