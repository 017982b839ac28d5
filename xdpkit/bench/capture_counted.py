"""Answers frames off the wire while somebody looks on, for ``capture_offwire.py`` and valgrind.

python -m xdpkit.bench.capture_counted FRAMES ARENA ANSWERS LOOK
"""

from __future__ import annotations

import marshal
import sys
from pathlib import Path
from typing import Any

from xdpkit._core._capture import CaptureFilter, CaptureScratch, CaptureSession, CaptureSet
from xdpkit._core._offwire import OffWire
from xdpkit._core._thread_state import ThreadState
from xdpkit.bench.counted import snapshot_of

# Records of as many answers as are counted fit.
RING = 16 << 20

# A filter that only the outcome decides: everything is copied, nothing is wanted.
_NO_OUTCOME = CaptureFilter([("answered", None, 0), ("not", None, 0)])
# One that the request decides: nothing is copied.
_NO_CLIENT = CaptureFilter([("client", bytes(4), 32)])

# Filter and sample rate of a capture, by what is looked at.
_CAPTURES = {
    "latency, 1 in 1000": (CaptureFilter(), 1000),
    "latency, no client": (_NO_CLIENT, 1),
    "latency, no outcome": (_NO_OUTCOME, 1),
    "latency, all": (CaptureFilter(), 1),
}
LOOKS = ("off", "latency", *_CAPTURES)


def session_of(look: str) -> CaptureSession | None:
    """The capture of one of LOOKS, for the thread with number 0."""
    if look not in _CAPTURES:
        return None
    wanted, sample = _CAPTURES[look]
    return CaptureSession(wanted, sample, (0,), RING)


def parts_of(look: str, session: CaptureSession | None) -> dict[str, Any]:
    """The parts of a snapshot that make the thread look."""
    captures = CaptureSet([session], {0: CaptureScratch()}) if session else None
    return {"latency": look != "off", "capture": captures}


def main(frames: str, arena: str, answers: str, look: str) -> None:
    """Answers in batches of 64."""
    snapshot = snapshot_of(Path(arena), **parts_of(look, session_of(look)))
    state = ThreadState(answers=1 << 16)
    OffWire(snapshot, marshal.loads(Path(frames).read_bytes()), state).run(int(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
