"""``xdpkit bench``: our servers and others, side by side in the lab."""

from __future__ import annotations

import importlib
import json
import platform
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from xdpkit import __version__
from xdpkit.bench import cpu, peers, plots, rows, table, testbed, zones
from xdpkit.bench.rounds import Plan, Result, Say, measure, median_ratios
from xdpkit.errors import LabError, UsageError

# The table's width: a narrower terminal wraps its lines, which is better than truncated figures.
WIDTH = 120
FULL = Plan()
QUICK = Plan(rounds=1, seconds=0.3, steps=3)
QUICK_NAMES = ("echo", "echo-dns", "xdpkit-ntp", "xdpkit-dns-10")
# What can be measured instead of servers side by side: options, and their modules.
PARTS = {name: name for name in ("offwire", "spin", "ntp", "floods", "reloads")}
PARTS |= {"zones": "zones_run", "geo": "geo_run", "capture": "capture_run"}
BOUNDS = (
    ("rounds", 1, 1000),
    ("seconds", 0.05, 600),
    ("load", 1, 10**8),
    ("zone-count", 2, 1_000_000),
)
PAIRS = (
    ("xdpkit-dns-10", "knotd-xdp"),
    ("xdpkit-dns-10", "knotd"),
    ("xdpkit-dns-10", "nsd"),
    ("xdpkit-ntp", "chronyd"),
)


def main(options: Namespace) -> int:
    """Measures, prints, writes; returns 1 if a server answered incorrectly. Raises XdpkitError."""
    check_numbers(options)
    console = Console(stderr=options.json, highlight=False)
    console.width = max(console.width, WIDTH)
    if options.directory:
        plots.check(console)
        options.directory.mkdir(parents=True, exist_ok=True)
    with progress(console) as say:
        facts = measure_and_show(options, console, say)
    if options.json:
        print(json.dumps(facts, indent=2))
    if options.directory:
        write(facts, options.directory, console)
    for line in facts.get("failed", []):
        print(f"xdpkit: {line}", file=sys.stderr)
    return 1 if facts.get("failed") else 0


def measure_and_show(options: Namespace, console: Console, say: Say) -> dict[str, Any]:
    """Measures what the options ask for and shows it on the console."""
    for name, module in PARTS.items():
        if getattr(options, name):
            # Imported late: a part may need a module that the others do without.
            part = importlib.import_module(f"xdpkit.bench.{module}")
            facts: dict[str, Any] = machine() | part.measure(options, say)
            part.show(facts, console)
            return facts
    facts = side_by_side(options, say)
    show(facts, console)
    return facts


def check_numbers(options: Namespace) -> None:
    """Raises UsageError for numbers out of range."""
    for name, least, most in BOUNDS:
        value = getattr(options, name.replace("-", "_"))
        if value is not None and not least <= value <= most:
            raise UsageError(f"--{name} {value}: from {least} to {most}")


@contextmanager
def progress(console: Console) -> Iterator[Say]:
    """Shows what is being done, in one line that disappears at the end."""
    with console.status("") as status:
        yield lambda line: status.update(f"  {line}")


def machine() -> dict[str, Any]:
    """The context that any figure needs."""
    generator, server = cpu.split()
    return {
        "xdpkit": __version__,
        "kernel": platform.release(),
        "driver": "veth",
        "cpu": cpu.model(),
        "cpus": {"generator": generator, "server": server},
    }


def side_by_side(options: Namespace, say: Say) -> dict[str, Any]:
    """Measures the rows that the options name."""
    base = QUICK if options.quick else FULL
    plan = Plan(
        options.rounds or base.rounds, options.seconds or base.seconds, options.load, base.steps
    )
    listed = peers.read_peers(options.peers) if options.peers else []
    installed = [] if options.quick else installed_except(listed)
    wanted = select_rows(options, [*installed, *listed])
    skipped: dict[str, str] = {}
    server_cpu = cpu.split()[1]
    with ExitStack() as stack:
        entries: list[testbed.Entry] = []
        for server in own_servers(wanted, say):
            say(f"starting xdpkit for {', '.join(row.name for row in server.rows)}")
            entries += stack.enter_context(testbed.own_server(server, server_cpu, wanted))
        for peer in (*installed, *listed):
            if peer.name not in wanted:
                continue
            say(f"starting {peer.name}")
            row = rows.row_of(peer.name, peer.service, peer.port)
            try:
                entries += stack.enter_context(testbed.peer_server(peer, row, server_cpu))
            except LabError as error:
                if peer in listed:
                    raise
                skipped[peer.name] = str(error)
        order = {name: index for index, name in enumerate(wanted)}
        entries.sort(key=lambda entry: order[entry.row.name])
        with cpu.pinned(cpu.split()[0]):
            results = measure(entries, plan, say)
    return document(results, plan, skipped)


def installed_except(listed: list[peers.Peer]) -> list[peers.Peer]:
    """The peers found on this machine, except those that the peers file lists itself."""
    names = {peer.name for peer in listed}
    return [peer for peer in peers.installed_peers() if peer.name not in names]


def select_rows(options: Namespace, available: list[peers.Peer]) -> list[str]:
    """The names of the rows, each after the echo it is compared with. Raises UsageError."""
    names = [*rows.OWN_NAMES, *(peer.name for peer in available)]
    services = {peer.name: peer.service for peer in available}
    if options.only:
        picked = options.only.split(",")
    elif options.quick:
        picked = [*QUICK_NAMES, *services]
    else:
        picked = list(names)
    for name in picked:
        if name not in names:
            raise UsageError(f"--only {name}: no such row; choose from: {', '.join(names)}")
    for name in list(picked):
        services.setdefault(name, "dns" if "dns" in name else "ntp")
        picked.append(rows.echo_row(services[name]))
    return [name for name in names if name in picked]


def own_servers(wanted: list[str], say: Say) -> list[rows.OwnServer]:
    """Our servers that answer the wanted rows; the million names are compiled if necessary."""
    servers = [rows.small()]
    if "xdpkit-dns-rrl" in wanted:
        servers.append(rows.limited())
    if "echo-spin" in wanted:
        servers.append(rows.slowed())
    if any(name in wanted for name in rows.LARGE_NAMES):
        servers.append(rows.large(zones.large_arena(say)))
    return servers


def document(results: dict[str, Result], plan: Plan, skipped: dict[str, str]) -> dict[str, Any]:
    """The facts for JSON."""
    failed = [
        f"{name}: {result.wrong:,} wrong replies"
        for name, result in results.items()
        if result.wrong
    ] + [
        f"{name}: no right reply at all"
        for name, result in results.items()
        if not any(figures.get("answers_per_s") for figures in result.rounds)
    ]
    compared = {
        f"{ours} / {theirs}": median_ratios(results, ours, theirs) for ours, theirs in PAIRS
    }
    modes = [result.entry.mode for result in results.values() if result.entry.mode]
    return {
        **machine(),
        "mode": modes[0] if modes else "",
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "load_per_s": plan.load,
        "rows": [result.as_dict() for result in results.values()],
        "compared": {pair: facts for pair, facts in compared.items() if facts},
        "skipped": skipped,
        "failed": failed,
    }


def show(facts: dict[str, Any], console: Console) -> None:
    """Prints the facts for a human reader."""
    console.print(
        f"{facts['driver']}, {facts['mode']}, one queue; Linux {facts['kernel']}, {facts['cpu']}; "
        f"generator on CPU {facts['cpus']['generator']}, server on {facts['cpus']['server']}; "
        f"medians of {facts['rounds']} rounds\n"
    )
    console.print(table.rates(facts["rows"]))
    lines = table.comparisons(facts["compared"])
    if lines:
        console.print("\nOurs over theirs, in the same round:", *lines, sep="\n  ")
    for name, reason in facts["skipped"].items():
        console.print(f"not measured: {name}: {reason}", style="yellow", markup=False)


def write(facts: dict[str, Any], directory: Path, console: Console) -> None:
    """Writes bench.json, and plots if matplotlib is installed."""
    path = directory / "bench.json"
    path.write_text(json.dumps(facts, indent=2) + "\n")
    made = plots.draw(facts, directory)
    console.print("written:", ", ".join(str(name) for name in (path, *made)))
