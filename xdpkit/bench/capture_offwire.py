"""``bench --capture``, off the wire: what looking on costs an answer, in ns and instructions."""

from __future__ import annotations

import marshal
import os
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xdpkit._core._capture import CaptureReader, CaptureSession
from xdpkit._core._offwire import OffWire
from xdpkit._core._thread_state import ThreadState
from xdpkit.bench import cpu
from xdpkit.bench.capture_counted import LOOKS, RING, parts_of, session_of
from xdpkit.bench.counted import snapshot_of
from xdpkit.bench.offwire import COUNTED, Case, Say, few_names, instructions_of
from xdpkit.runtime import child

# Timed at once: their records fit into the ring, so that none is lost, which would be cheaper.
_ANSWERS = 1 << 14
_TIMES = 8


def measure(rounds: int, say: Say) -> list[dict[str, Any]]:
    """A row for each case: ns and instructions for each of LOOKS."""
    valgrind = find_valgrind()
    rows = []
    with tempfile.TemporaryDirectory(prefix="xdpkit-offwire-") as scratch:
        for case in few_names(Path(scratch), say):
            if case.name not in ("echo", "ntp-ipv4", "dns-10"):
                continue
            say(f"{case.name}: time")
            row: dict[str, Any] = {"name": case.name, "ns_per_answer": _times(case, rounds)}
            if valgrind:
                say(f"{case.name}: instructions (valgrind)")
                row["instructions_per_answer"] = {
                    look: _instructions(valgrind, case, Path(scratch), look) for look in LOOKS
                }
            rows.append(row)
    return rows


def find_valgrind() -> str | None:
    """The program that counts instructions, where it is installed."""
    return shutil.which("valgrind")


class _Timed:
    """One way of looking, and the ring that is emptied between two times."""

    def __init__(self, case: Case, look: str) -> None:
        self.session = session_of(look)
        snapshot = snapshot_of(case.arena, **parts_of(look, self.session))
        self.offwire = OffWire(snapshot, case.frames, ThreadState(answers=1 << 16))
        self.reader = _reader(self.session) if self.session else None
        self.ns: list[float] = []

    def run(self) -> None:
        self.ns.append(self.offwire.run(_ANSWERS))
        if self.reader:
            while self.reader.blocks_up_to(1 << 20, 1 << 30)[1]:
                pass


def _reader(session: CaptureSession) -> CaptureReader:
    return CaptureReader(os.dup(session.records_fd), os.dup(session.tails_fd), RING, ["offwire"])


def _times(case: Case, rounds: int) -> dict[str, dict[str, float]]:
    """Best and median by look; all take turns within a round."""
    with cpu.pinned(cpu.split()[1]):
        timed = {look: _Timed(case, look) for look in LOOKS}
        for each in timed.values():
            each.run()
            each.ns.clear()
        for _ in range(rounds * _TIMES):
            for each in timed.values():
                each.run()
    return {
        look: {"best": min(each.ns), "median": statistics.median(each.ns)}
        for look, each in timed.items()
    }


def _instructions(valgrind: str, case: Case, scratch: Path, look: str) -> float:
    sample = scratch / "frames"
    sample.write_bytes(marshal.dumps(case.frames[:COUNTED]))
    arguments: Sequence[str] = (str(sample), str(case.arena), str(COUNTED), look)
    return instructions_of(valgrind, child.python("xdpkit.bench.capture_counted", *arguments))
