"""A bound on lines of the log that somebody else may cause: some at once, then one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable


class LogBudget:
    """``take`` is whether one may be logged: ``lines`` at once, and one more each ``seconds``."""

    def __init__(
        self, lines: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines, self._seconds, self._clock = lines, seconds, clock
        self._left, self._since = float(lines), clock()

    def take(self) -> bool:
        """Whether a line may be logged now; counts it."""
        now = self._clock()
        self._left = min(self._lines, self._left + (now - self._since) / self._seconds)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
