"""The bounded inbox of a service: one owner answers, one message after the other.

Whoever asks waits for the answer, never for room: a full inbox refuses at once, and counts that. So
no cycle of services that ask each other can block, and nothing that a client sends can pile up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import anyio

from xdpkit.errors import BusyError, XdpkitError
from xdpkit.runtime.faults import faults

Message = TypeVar("Message")
Answer = TypeVar("Answer")


@dataclass
class _Request(Generic[Message, Answer]):
    """A message, and its outcome once ``done``: an answer in ``answers``, or an error."""

    message: Message
    done: anyio.Event = field(default_factory=anyio.Event)
    answers: list[Answer] = field(default_factory=list)
    error: Exception | None = None


class Inbox(Generic[Message, Answer]):
    """Holds up to ``size`` messages; ``name`` is its key in ``xdpkit status --json``."""

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size = name, size
        faults.expect(name)
        self.refused = 0
        """Messages that found the inbox full."""
        self._waiting: list[_Request[Message, Answer]] = []
        self._arrived = anyio.Event()
        self._closed = False

    @property
    def waiting(self) -> int:
        """Messages that are not answered yet, with the one that its owner has in hand."""
        return len(self._waiting)

    async def ask(self, message: Message) -> Answer:
        """Sends a message and waits for the owner's answer.

        Raises BusyError when the inbox is full or its owner has ended, and what the owner raises.
        """
        if self._closed:
            raise BusyError(f"{self.name}: the instance is stopping")
        if len(self._waiting) >= self.size:
            self.refused += 1
            raise BusyError(f"{self.name}: {self.size} requests are waiting already: try again")
        request = _Request[Message, Answer](message)
        self._waiting.append(request)
        self._arrived.set()
        await request.done.wait()
        if request.error is not None:
            raise request.error
        return request.answers[0]

    async def run(self, answer: Callable[[Message], Awaitable[Answer]]) -> None:
        """The owner's task: answers until canceled, and then refuses whoever is waiting."""
        self._closed = False
        try:
            while True:
                while self._waiting:
                    await self._answer(self._waiting[0], answer)
                    self._waiting.pop(0)
                self._arrived = anyio.Event()
                await self._arrived.wait()
        finally:
            self.close()

    async def _answer(
        self,
        request: _Request[Message, Answer],
        answer: Callable[[Message], Awaitable[Answer]],
    ) -> None:
        try:
            request.answers.append(await answer(request.message))
        except (XdpkitError, OSError, ValueError, MemoryError) as error:
            # It is the asker's: the owner goes on.
            request.error = error
        except Exception as error:
            what = faults.record(self.name, error)
            request.error = XdpkitError(f"{self.name}: a fault of xdpkit itself: {what}")
        if request.error is not None or request.answers:
            request.done.set()

    def close(self) -> None:
        """Refuses everything from now on; whoever is waiting gets a BusyError."""
        self._closed = True
        for request in self._waiting:
            if not request.done.is_set():
                request.error = BusyError(f"{self.name}: the instance is stopping")
                request.done.set()
        self._waiting.clear()

    def facts(self) -> dict[str, Any]:
        """Its part of ``xdpkit status --json``."""
        return {"size": self.size, "waiting": len(self._waiting), "refused": self.refused}


class Signal:
    """An inbox without messages: any number of ``set`` before the owner looks count as one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wakes up the owner, now or when it waits next."""
        self._event.set()

    async def wait(self) -> None:
        """The owner's: waits until it was set, and takes that back."""
        await self._event.wait()
        self._event = anyio.Event()
