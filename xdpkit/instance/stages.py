"""A server's life as stages: each is opened, gives a typed result, and is closed in reverse order.

A stage is an asynchronous generator that yields its result once: what comes before is its open,
what comes after its close. If one cannot be opened, those before it are closed. A close that fails
is said in one line, and those before it are closed nevertheless.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar

import anyio

from xdpkit.errors import XdpkitError

log = logging.getLogger("xdpkit")

Result = TypeVar("Result")


class Stages:
    """The stages that are open, the latest last. ``failed`` is whether a close has failed."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()
        self.failed = False

    async def open(self, stage: AsyncIterator[Result]) -> Result:
        """Opens the next stage; returns its result. Raises what its open raises."""
        closing = self._closing(stage, _name(stage))
        return await self._stack.enter_async_context(closing)

    @asynccontextmanager
    async def _closing(self, stage: AsyncIterator[Result], name: str) -> AsyncIterator[Result]:
        result = await anext(stage)
        try:
            yield result
        finally:
            # A close must not be interrupted by what ended the run: each bounds its own waits.
            with anyio.CancelScope(shield=True):
                try:
                    await anext(stage, None)
                except (OSError, ValueError, XdpkitError) as error:
                    self.failed = True
                    log.error("%s could not be closed: %s; the rest is undone", name, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)


def _name(stage: AsyncIterator[Result]) -> str:
    """The stage's name in the log: of its generator function."""
    return str(getattr(stage, "__name__", stage)).replace("_", " ")
