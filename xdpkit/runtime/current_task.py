"""A task that is started again whenever what it runs has been replaced."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio


class CurrentTask:
    """Runs whatever ``current`` gives; after ``restart`` what it gives then.

    ``current`` returns a coroutine function, or None while there is nothing to run; one that
    returns has nothing more to do until the next restart.
    """

    def __init__(self, current: Callable[[], Callable[[], Awaitable[None]] | None]) -> None:
        self._current = current
        self._scope = anyio.CancelScope()

    def restart(self) -> None:
        """Cancels what is running; ``run`` starts the current one instead."""
        self._scope.cancel()

    async def run(self) -> None:
        """Runs until canceled."""
        while True:
            with anyio.CancelScope() as self._scope:
                if task := self._current():
                    await task()
                await anyio.sleep_forever()
