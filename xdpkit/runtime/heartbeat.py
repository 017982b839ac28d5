"""Whether an answering thread is running, judged by its heartbeat counter."""

from __future__ import annotations

from dataclasses import dataclass

# In a row: after a pause of the whole process, the watchdog may run before the thread does.
MISSED_BEATS = 2


@dataclass
class Heartbeat:
    """The last heartbeat seen, and how many times it was the same since."""

    last: int = -1
    missed: int = 0

    def update(self, count: int) -> None:
        """Must be called less often than once a second, the slowest turn of a thread."""
        self.missed = self.missed + 1 if count == self.last else 0
        self.last = count

    @property
    def stalled(self) -> bool:
        return self.missed >= MISSED_BEATS

    @property
    def running(self) -> bool:
        """Not the opposite of ``stalled``: after a single miss it is neither."""
        return self.missed == 0
