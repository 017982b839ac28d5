"""How an instance ends: who asked for it, and within which time everything is undone."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from enum import Enum

import anyio

from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.notify import notify

log = logging.getLogger("xdpkit")


class Outcome(Enum):
    """How the last handover ended."""

    KEPT = "this instance continues to serve"
    GIVEN = "the successor serves"
    RESTART = "the successor starts after this instance has stopped"


class Ending:
    """Stops what runs ``until_stopped``; ``outcome`` is GIVEN where a successor serves on."""

    def __init__(self) -> None:
        self._stop = anyio.Event()
        self.deadline = ShutdownDeadline()
        self.outcome = Outcome.KEPT
        self.all_ended = True
        """Whether every answering thread has ended, as far as they were told to."""

    @property
    def given(self) -> bool:
        """Whether a successor owns what serves: it must not be undone."""
        return self.outcome is Outcome.GIVEN

    def stop(self) -> None:
        """Stops serving; the second call ends all waits of that."""
        if self._stop.is_set():
            self.deadline.hurry()
        notify("STOPPING=1")
        self._stop.set()

    async def until_stopped(self, work: Callable[[], Awaitable[None]]) -> None:
        """Runs ``work``, and cancels it at the first ``stop``."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_stopped, tasks.cancel_scope)
            await work()

    async def _cancel_when_stopped(self, scope: anyio.CancelScope) -> None:
        await self._stop.wait()
        scope.cancel()

    def exit_without_threads(self) -> None:
        """At the very end: a thread that did not stop uses memory that nothing may free."""
        if not self.all_ended:
            log.error("an answering thread did not stop: exiting without waiting for it")
            logging.shutdown()
            os._exit(1)
