"""``bench --capture``: what it costs to look on, and what a capture loses.

Two servers take turns: one with everything off, and one with histograms, a scrape a second and one
in 1,000 captured. Then all of a load is captured, with a reader that reads and with a stopped one.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.request import urlopen

from rich.console import Console

from xdpkit.bench import capture_offwire, capture_stamps, cpu, probe, rows, testbed, zones
from xdpkit.bench.beside import beside
from xdpkit.bench.capture_counted import LOOKS
from xdpkit.bench.offwire import Say
from xdpkit.bench.rows import Row
from xdpkit.bench.table import text_table
from xdpkit.errors import LabError
from xdpkit.lab.served import ServedLab
from xdpkit.loadgen.figures import ratio, spreads
from xdpkit.runtime import child

# Open requests: as in speed.py, veth drops none.
_WINDOW = 192
_ROUNDS, _SECONDS = 5, 1.0
_SERVICES = ("ntp", "dns")
_METRICS = "127.0.0.1:9153"


def measure(options: Namespace, say: Say) -> dict[str, Any]:
    """All parts."""
    rounds, seconds = options.rounds or _ROUNDS, options.seconds or _SECONDS
    offwire = capture_offwire.measure(rounds, say)
    with ExitStack() as stack:
        entries: dict[str, testbed.Entry] = {}
        for look in ("off", "on"):
            say(f"starting xdpkit, everything {look}")
            server, names = _server(look), [f"{service}-{look}" for service in _SERVICES]
            found = stack.enter_context(
                testbed.own_server(server, cpu.split()[1], [*names, "echo"])
            )
            entries |= {entry.row.name: entry for entry in found}
        with cpu.pinned(cpu.split()[0]):
            rates, wrong = _rates(entries, rounds, seconds, say)
            full = _full(entries["ntp-on"], options.load, seconds, say)
        say("stamps")
        stamps = capture_stamps.measure(_served(entries["ntp-on"]))
        mode = entries["ntp-on"].mode
    return {
        "mode": mode,
        "rounds": rounds,
        "offwire": offwire,
        "rates": rates,
        "full": full,
        "stamps": stamps,
        "failed": [f"{name}: {count:,} wrong replies" for name, count in wrong.items() if count],
    }


def _server(look: str) -> rows.OwnServer:
    table = f'[metrics]\nlisten = "{_METRICS}"\n' if look == "on" else ""
    services = f'latency = {str(look == "on").lower()}\n[ntp]\n[dns]\nzones = "zones"\n[echo]\n'
    made = (
        Row(f"ntp-{look}", "ntp", 123),
        Row(f"dns-{look}", "dns", 53, zones.uniform(zones.SMALL)),
    )
    return rows.OwnServer(rows.configuration(services + table), made, rows.small().files)


def _served(entry: testbed.Entry) -> ServedLab:
    if entry.served is None:
        raise LabError("a server of our own is needed")
    return entry.served


def _rates(
    entries: dict[str, testbed.Entry], rounds: int, seconds: float, say: Say
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Answers per second and the worker's CPU time, on and off, and their ratio by round."""
    found: dict[str, list[dict[str, float]]] = {service: [] for service in _SERVICES}
    wrong = dict.fromkeys(entries, 0)
    for number in range(rounds):
        for service in _SERVICES:
            figures: dict[str, float] = {}
            # Each goes first in every other round.
            for look in ("off", "on") if number % 2 else ("on", "off"):
                name = f"{service}-{look}"
                say(f"rates: round {number + 1} of {rounds}: {name}")
                entry = entries[name]
                with _looking(_served(entry)) if look == "on" else contextlib.nullcontext():
                    probe.run(entry.generator, seconds / 10, window=_WINDOW)
                    before = entry.worker_ns()
                    measured = probe.run(
                        entry.generator, seconds, window=_WINDOW, quiet=probe.LAST_REPLIES
                    )
                    spent = (entry.worker_ns() - before) / 1e3
                wrong[name] += measured.wrong + measured.duplicate
                figures[f"{look}_per_s"] = measured.answers_per_s
                figures[f"{look}_cpu_us"] = ratio(spent, measured.replied)
            figures["on_over_off"] = ratio(figures["on_per_s"], figures["off_per_s"])
            found[service].append(figures)
    return [{"service": name, **spreads(each)} for name, each in found.items()], wrong


@contextmanager
def _looking(served: ServedLab) -> Iterator[None]:
    """A scrape a second, and one in 1,000 captured."""

    def scrape(goes_on: Callable[[], bool]) -> None:
        with served.lab.server.entered():
            while goes_on():
                with urlopen(f"http://{_METRICS}/metrics", timeout=10) as reply:
                    reply.read()
                time.sleep(1.0)

    with _dump(served, "--sample", "1000"), beside(scrape):
        yield


@contextmanager
def _dump(served: ServedLab, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """``xdpkit dump`` from when it has begun; ended with the block."""
    begun = served.status()["captures"]["begun"]
    argv = child.python("xdpkit", "dump", "-w", "/dev/null", "--json", *arguments)
    process = served.lab.server.popen(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while served.status()["captures"]["begun"] == begun:
            if process.poll() is not None:
                raise LabError(f"xdpkit dump: {process.communicate()[1].strip()}")
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            process.communicate(timeout=10)
        process.kill()


def _full(entry: testbed.Entry, rate: int, seconds: float, say: Say) -> list[dict[str, Any]]:
    """All of a load is captured: by a reader that reads, and by one that is stopped meanwhile."""
    return [_captured(entry, rate, seconds, stopped, say) for stopped in (False, True)]


def _captured(
    entry: testbed.Entry, rate: int, seconds: float, stopped: bool, say: Say
) -> dict[str, Any]:
    say(f"full capture at {rate:,}/s, reader {'stopped' if stopped else 'reading'}")
    served = _served(entry)
    with _dump(served) as process:
        if stopped:
            process.send_signal(signal.SIGSTOP)
        measured = probe.run(entry.generator, seconds, rate=rate, quiet=probe.LAST_REPLIES)
        [counts] = served.status()["captures"]["running"]
        if stopped:
            process.send_signal(signal.SIGCONT)
    return {
        "reader": "stopped" if stopped else "reading",
        "offered_per_s": measured.sent_per_s,
        "answers_lost": measured.sent - measured.replied,
        **counts,
    }


def show(facts: dict[str, Any], console: Console) -> None:
    """Prints the facts for a human reader."""
    console.print("Off the wire: ns per answer (best), instructions, batches of 64\n")
    lines = []
    for row in facts["offwire"]:
        counted = row.get("instructions_per_answer", {})
        cells = [
            f"{row['ns_per_answer'][look]['best']:.1f}"
            + (f" / {counted[look]:.0f}" if counted else "")
            for look in LOOKS
        ]
        lines.append([row["name"], *cells])
    console.print(text_table(["", *LOOKS], lines))
    console.print("\nOn the wire: answers/s, medians; on: histograms, scrapes, one in 1,000\n")
    lines = [
        [
            row["service"],
            *(f"{row[key]:,.0f}" for key in ("off_per_s", "on_per_s")),
            f"{row['on_over_off']:.3f}",
            *(f"{row[key]:.3f}" for key in ("off_cpu_us", "on_cpu_us")),
        ]
        for row in facts["rates"]
    ]
    headings = ["", "off", "on", "on / off", "off, CPU us", "on, CPU us"]
    console.print(text_table(headings, lines))
    console.print()
    keys = ("offered_per_s", "answers_lost", "seen", "lost")
    lines = [[row["reader"], *(f"{row[key]:,.0f}" for key in keys)] for row in facts["full"]]
    console.print(
        text_table(["reader", "offered/s", "answers lost", "seen", "not captured"], lines)
    )
    stamps = facts["stamps"]
    console.print(
        f"\nStamps: {stamps['within_100_us']:.4f} within 100 us of the client's; request "
        f"{_way(stamps['request_us'])}, reply {_way(stamps['reply_us'])}"
    )


def _way(us: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in us.items()) + " us"
