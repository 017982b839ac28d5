"""What all sources of NTP time have in common: they are asked once a second and may say nothing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from xdpkit.services.ntp.state import SECOND_NS, State

# How often a source is asked, and how long one poll takes at most.
POLL_SECONDS = 1.0
REPLY_SECONDS = 1.0

# A shorter holdover would end before the next answer can be there.
_SHORTEST_HOLDOVER_NS = int((POLL_SECONDS + REPLY_SECONDS) * SECOND_NS)


def expiry(answered_ns: int, holdover_s: int) -> int:
    """Until when an answer holds, by the clock of ``answered_ns``."""
    return answered_ns + max(holdover_s * SECOND_NS, _SHORTEST_HOLDOVER_NS)


class Polled(ABC):
    """A source: ``poll`` asks it, ``current`` is what it said last, as long as that holds.

    ``name`` is as in the configuration. Every poll is counted as an answer or, in ``ignored``,
    under the one reason why not; reasons are the keys of ``fixes``, so that there are only so many.
    """

    # What each reason means and what to do about it.
    fixes: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.polls = self.answers = 0
        self.ignored: dict[str, int] = {}
        self._state: State | None = None
        self._reason = ""

    @abstractmethod
    async def poll(self) -> None:
        """Asks once; takes REPLY_SECONDS at most."""

    def current(self, now_ns: int) -> State | None:
        """What this source says of the clock; None when it is unsynchronised."""
        if self._state and now_ns < self._state.expires_ns:
            return self._state
        return None

    def problem(self) -> str:
        """Why there is nothing from it, and the fix."""
        if not self._reason:
            return "its last answer is too old: it is asked again"
        return self.fixes[self._reason]

    def facts(self, now_ns: int) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        word = "unsynchronised"
        if self.current(now_ns):
            word = "holdover" if self._reason else "synchronised"
        return {
            "name": self.name,
            "state": word,
            "polls": self.polls,
            "answers": self.answers,
            "ignored": dict(sorted(self.ignored.items())),
        }

    def _answered(self, state: State) -> None:
        self.answers += 1
        self._state, self._reason = state, ""

    def _ignore(self, reason: str) -> None:
        self.ignored[reason] = self.ignored.get(reason, 0) + 1
        self._reason = reason
