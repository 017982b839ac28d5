"""How long the end of an instance may take: all of its parts together, not each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import anyio

# Answering threads end within microseconds of their next turn on a CPU; one that stands still, or a
# machine with far more to do than it can, is not waited for longer.
DRAIN_SECONDS = 2.0


class ShutdownDeadline:
    """The one limit for all waits of the end; it begins with the first of them."""

    def __init__(self) -> None:
        self._deadline = math.inf

    def begin(self) -> None:
        """Sets the limit, if nothing has."""
        self._deadline = min(self._deadline, time.monotonic() + DRAIN_SECONDS)

    def hurry(self) -> None:
        """No wait from now on: what must be undone still is."""
        self._deadline = 0.0

    async def wait(self, done: Callable[[], bool]) -> bool:
        """Waits until it is done or time is up; returns whether it is done."""
        self.begin()
        while not done() and time.monotonic() < self._deadline:
            await anyio.sleep(0.005)
        return done()
