"""``bench --offwire``: the user-space cost of an answer, in nanoseconds and in instructions.

Parse, verify, answer and turn the frame around, on rings in ordinary memory: what remains of an
answer's cost when a NIC in zero-copy mode removes the kernel's share.
"""

from __future__ import annotations

import marshal
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from xdpkit._core._answer import answer
from xdpkit._core._offwire import OffWire
from xdpkit._core._rrl import RRL_BOUNDS, RrlRule
from xdpkit._core._stats import VERDICTS
from xdpkit._core._thread_state import ThreadState
from xdpkit.bench import cpu, frames, zones, zones_arena
from xdpkit.bench.counted import snapshot_of
from xdpkit.bench.table import text_table
from xdpkit.errors import XdpkitError
from xdpkit.lab.namespaces import CLIENT_IPV4
from xdpkit.loadgen import queries
from xdpkit.runtime import child

BATCHES = (1, 4, 16, 64)
ROUNDS = 7
# Answers timed in one round: a multiple of every batch and of the number of frames.
ANSWERS = 1 << 18
# Answers under valgrind, which is fifty times slower; instruction counts repeat exactly.
COUNTED = 1 << 14
# xdpkit/_core/_loop.pyx: what runs between receiving a batch and its kick.
FUNCTIONS = ("answer_batch", "stamp_batch")
SYMBOL = "__pyx_f_6xdpkit_5_core_5_loop_{}"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A kind of request: its frames, and the arena they are answered from."""

    name: str
    frames: list[bytes]
    arena: Path
    rate: int = 0
    """Of response rate limiting."""


def measure(options: Namespace, say: Say) -> dict[str, Any]:
    """Every case, by batch size; instructions where valgrind is installed."""
    rounds = options.rounds or ROUNDS
    valgrind = shutil.which("valgrind")
    with tempfile.TemporaryDirectory(prefix="xdpkit-offwire-") as scratch:
        found = []
        for case in cases(Path(scratch), say):
            say(f"{case.name}: time")
            facts: dict[str, Any] = {"name": case.name, "ns_per_answer": times(case, rounds)}
            if valgrind:
                say(f"{case.name}: instructions (valgrind)")
                facts["instructions_per_answer"] = instructions(valgrind, case, Path(scratch))
            found.append(facts)
    why = None if valgrind else "valgrind is not installed (apt-get install valgrind)"
    return {"rounds": rounds, "cases": found, "instructions_not_measured": why}


def cases(scratch: Path, say: Say) -> Sequence[Case]:
    """Echo, NTP over both families, DNS with few names, with RRL, and with many names."""
    few = few_names(scratch, say)
    large = zones.large_arena(say)
    say("making frames")
    return (*few, Case("dns-1m", frames.frames("dns", frames.dns_payloads(zones.LARGE)), large))


def few_names(scratch: Path, say: Say) -> Sequence[Case]:
    """The cases without many names."""
    small = scratch / "small.arena"
    zone = scratch / f"{zones.ORIGIN}.zone"
    zone.write_text(zones.zone_text(zones.SMALL))
    zones_arena.write([zone], small, say)
    say("making frames")
    ntp = frames.ntp_payloads()
    few = frames.dns_payloads(zones.SMALL)
    return (
        Case("echo", frames.frames("echo", frames.echo_payloads()), small),
        Case("ntp-ipv4", frames.frames("ntp", ntp), small),
        Case("ntp-ipv6", frames.frames("ntp", ntp, 6), small),
        Case("dns-10", frames.frames("dns", few), small),
        # All within the limit, each from its own source; and all from one source, mostly over it.
        Case(
            "dns-10-rrl",
            frames.frames("dns", few, 4, frames.random_sources()),
            small,
            rate=RRL_BOUNDS["rate"][1],
        ),
        Case(
            "dns-10-rrl-slip",
            frames.frames("dns", few),
            small,
            rate=RrlRule().rate,
        ),
        # A valid cookie exempts from RRL.
        Case(
            "dns-10-cookie",
            frames.frames("dns", with_cookies(small, few)),
            small,
            rate=RrlRule().rate,
        ),
    )


def times(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds per answer by batch size: the best and the median of the rounds.

    Raises XdpkitError if a frame was not answered: its time would measure something else.
    """
    facts = {}
    snapshot = snapshot_of(case.arena, case.rate)
    with cpu.pinned(cpu.split()[1]):
        offwire = OffWire(snapshot, case.frames, ThreadState(answers=1 << 16))
        offwire.run(ANSWERS)
        for batch in BATCHES:
            taken = [offwire.run(ANSWERS, batch) for _ in range(rounds)]
            facts[str(batch)] = {"best": min(taken), "median": statistics.median(taken)}
    check_answered(case.name, offwire)
    return facts


def check_answered(name: str, offwire: OffWire) -> None:
    """Raises XdpkitError if not all frames were answered."""
    counts = offwire.counters()["verdicts"]
    unanswered = {
        verdict.name: count
        for verdict, count in zip(VERDICTS, counts, strict=False)
        if count and verdict.kind != "answer"
    }
    if unanswered:
        raise XdpkitError(f"{name}: not all frames were answered: {unanswered}")


def with_cookies(arena: Path, payloads: Sequence[bytes]) -> list[bytes]:
    """The queries with the server cookie issued to the lab's client."""
    first = queries.with_cookie(payloads[0], bytes(range(8)))
    source = (CLIENT_IPV4, frames.FIRST_PORT)
    _, reply = answer(snapshot_of(arena), "dns", first, source, rx_ns=time.time_ns())
    assert reply is not None
    cookie = queries.cookie_of(reply)
    return [queries.with_cookie(payload, cookie) for payload in payloads]


def instructions(valgrind: str, case: Case, scratch: Path) -> float:
    """Instructions per answer, in batches of 64, in the functions between receiving and kick.

    Raises XdpkitError with the last line of valgrind's output.
    """
    sample = scratch / "frames"
    sample.write_bytes(marshal.dumps(case.frames[:COUNTED]))
    module = "xdpkit.bench.counted"
    return instructions_of(
        valgrind,
        child.python(module, str(sample), str(case.arena), str(COUNTED), str(case.rate)),
    )


def instructions_of(valgrind: str, counted: Sequence[str]) -> float:
    """The same of a command that answers ``COUNTED`` frames."""
    toggles = [f"--toggle-collect={SYMBOL.format(function)}" for function in FUNCTIONS]
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *toggles, *counted],
        capture_output=True,
        text=True,
        check=False,
        **child.options(),
    )
    collected = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode or not collected or not int(collected[1]):
        words = done.stderr.strip().splitlines()
        raise XdpkitError(f"valgrind counted nothing: {words[-1] if words else 'no output'}")
    return int(collected[1]) / COUNTED


def show(facts: dict[str, Any], console: Console) -> None:
    """Prints the facts for a human reader."""
    console.print(
        f"User-space ns per answer by batch, best (median) of {facts['rounds']}; {facts['cpu']}\n"
    )
    rows = []
    for case in facts["cases"]:
        by_batch = [
            f"{case['ns_per_answer'][str(batch)]['best']:.1f} "
            f"({case['ns_per_answer'][str(batch)]['median']:.1f})"
            for batch in BATCHES
        ]
        counted = case.get("instructions_per_answer")
        rows.append([case["name"], *by_batch, f"{counted:.0f}" if counted else ""])
    headings = ["", *(f"batch {batch}" for batch in BATCHES), "instructions"]
    console.print(text_table(headings, rows))
    if facts["instructions_not_measured"]:
        console.print(f"instructions not measured: {facts['instructions_not_measured']}")
