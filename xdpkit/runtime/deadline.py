"""The shutdown deadline: one time limit for all parts of an instance together."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

# Answering threads end within microseconds of running on a CPU; for a stalled thread or an
# overloaded machine, nothing waits longer than this.
DRAIN_SECONDS = 2.0


class ShutdownDeadline:
    """The time limit for all waits of a shutdown; it starts with the first one."""

    def __init__(self) -> None:
        self._deadline = math.inf

    def begin(self) -> None:
        """Starts the time limit, unless it has started."""
        self._deadline = min(self._deadline, time.monotonic() + DRAIN_SECONDS)

    def hurry(self) -> None:
        """Ends all waits now; everything is still undone."""
        self._deadline = 0.0

    async def wait(self, done: Callable[[], bool]) -> bool:
        """Waits until ``done`` or the deadline; returns whether it is done."""
        self.begin()
        while not done() and time.monotonic() < self._deadline:
            await anyio.sleep(0.005)
        return done()
