"""A process at its limit of memory says so, instead of trying for ever to find some."""

from __future__ import annotations

import subprocess
import sys

# Integers only, in a context that is left with another: its place in code that is not short.
GROWS = """
import contextlib, resource
from xdpkit._core import _memory_reserve

used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (40 << 20), used + (56 << 20)))
_memory_reserve.watch()

def grow(kept):
    LONG
    with contextlib.closing(contextlib.ExitStack()):
        for number in range(1000, 1000 + len(kept)):
            kept[number - 1000] = number

try:
    grow([None] * (1 << 21))
except MemoryError:
    _memory_reserve.stop()
    # What it kept is not yet free.
    text = [str(number) for number in range(10_000)]
    print(f"said so, {len(text)} words")
""".replace("LONG", "\n    ".join(["a = [1, 2, 3, len('x')]"] * 40))


def test_it_ends_and_has_room_to_say_so() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", GROWS], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "said so, 10000 words\n", done.stderr[-2000:]
