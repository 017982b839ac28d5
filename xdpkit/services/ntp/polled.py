"""What all NTP time sources have in common: polled once a second, with or without an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from xdpkit.services.ntp.state import SECOND_NS, State

# Poll interval, and the longest that one poll may take.
POLL_SECONDS = 1.0
REPLY_SECONDS = 1.0

# A shorter holdover would expire before the next answer can arrive.
_SHORTEST_HOLDOVER_NS = int((POLL_SECONDS + REPLY_SECONDS) * SECOND_NS)


def expiry(answered_ns: int, holdover_s: int) -> int:
    """When an answer expires, on the clock of ``answered_ns``."""
    return answered_ns + max(holdover_s * SECOND_NS, _SHORTEST_HOLDOVER_NS)


class Polled(ABC):
    """A source: ``poll`` queries it, ``current`` is its last answer until that expires.

    ``name`` is as in the configuration. Every poll counts as an answer or, in ``ignored``, under
    the one reason why not; the reasons are the keys of ``fixes``, a bounded set.
    """

    # For each reason: what it means and how to fix it.
    fixes: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str) -> None:
        self.name = name
        self.polls = self.answers = 0
        self.ignored: dict[str, int] = {}
        self._state: State | None = None
        self._reason = ""

    @abstractmethod
    async def poll(self) -> None:
        """Polls once; takes at most REPLY_SECONDS."""

    def current(self, now_ns: int) -> State | None:
        """The state this source gives; None if it is unsynchronized."""
        if self._state and now_ns < self._state.expires_ns:
            return self._state
        return None

    @property
    def is_silent(self) -> bool:
        """Whether the last poll gave nothing."""
        return bool(self._reason)

    def problem(self) -> str:
        """Why it gives no time, and the fix."""
        if not self._reason:
            return "its last answer is too old: it is polled again"
        return self.fixes[self._reason]

    def facts(self, now_ns: int) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        condition = "unsynchronised"
        if self.current(now_ns):
            condition = "holdover" if self._reason else "synchronised"
        return {
            "name": self.name,
            "state": condition,
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
