"""Whether an answering thread turns, by the heartbeat that it counts."""

from __future__ import annotations

from dataclasses import dataclass

# In a row: when the whole process was paused, its watch may run before the thread does.
MISSED_BEATS = 2


@dataclass
class Beat:
    """A heartbeat as it was when it was last looked at, and how often it was the same since."""

    last: int = -1
    missed: int = 0

    def look(self, now: int) -> None:
        """To be called less often than the thread turns at least: once a second."""
        self.missed = self.missed + 1 if now == self.last else 0
        self.last = now

    @property
    def stands_still(self) -> bool:
        return self.missed >= MISSED_BEATS

    @property
    def turns(self) -> bool:
        """Not the contrary: after a single miss it is neither."""
        return self.missed == 0
