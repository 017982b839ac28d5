"""File system calls beside the event loop, with a deadline.

A read of a file on NFS without its server does not return, and nothing ends it. So each call gets a
thread of its own, which is waited for until the deadline and then left behind: a daemon, it does
not keep the process from ending. While it is stuck, nobody else asks for the same thing, and the
number of such threads is bounded.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio

from xdpkit.errors import UnansweredError
from xdpkit.runtime import privileges

T = TypeVar("T")

# What a person waits for patiently; a disk that spins up takes a few seconds, a network file
# system that fails over to its other server about as long.
ANSWER_SECONDS = 10.0

# Threads left behind. Each is for another file or directory, which somebody with root's rights
# named; when there are more, no more are started.
STUCK_MAX = 8

# Time between two looks at a call that was left behind.
LOOK_SECONDS = 0.02

_stuck: dict[str, _Call[Any]] = {}


class _Call(Generic[T]):
    """One call in its thread; afterwards ``result`` or ``error``."""

    def __init__(self, work: Callable[[], T], nice: int) -> None:
        self._work, self._nice = work, nice
        self._loop, self._done = asyncio.get_running_loop(), anyio.Event()
        self.started = time.monotonic()
        self.result: list[T] = []
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="xdpkit-files", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            if privileges.confined():
                # Before the start is over, there is more than this needs.
                privileges.settle()
            if self._nice:
                # Of this thread only; it ends with the call.
                thread = threading.get_native_id()
                now = os.getpriority(os.PRIO_PROCESS, thread)
                os.setpriority(os.PRIO_PROCESS, thread, max(now, self._nice))
            self.result.append(self._work())
        except BaseException as error:
            self.error = error
        # The loop may have ended in the meantime.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._done.set)

    async def wait(self) -> None:
        await self._done.wait()


async def off_loop(
    path: Path | str,
    work: Callable[[], T],
    seconds: float | None = None,
    nice: int = 0,
    what: str = "it",
) -> T:
    """The result of ``work``, which reads ``path``, from a thread with this nice value.

    Raises what ``work`` raises, and UnansweredError, which says ``what`` does not answer, when it
    has not returned after ``seconds``, by default ANSWER_SECONDS. Canceling leaves the call behind,
    too.
    """
    seconds = ANSWER_SECONDS if seconds is None else seconds
    key = str(path)
    await _wait_for_earlier(key, seconds, what)
    call = _Call(work, nice)
    try:
        with anyio.move_on_after(seconds):
            await call.wait()
    finally:
        if not call.result and call.error is None:
            _stuck[key] = call
    if call.error is not None:
        raise call.error
    if not call.result:
        raise UnansweredError(path, f"{what} did not answer within {seconds:g} s")
    return call.result[0]


async def _wait_for_earlier(key: str, seconds: float, what: str) -> None:
    """Waits for a call that was left behind, but not longer than its asker would have done."""
    while (earlier := _stuck.get(key)) and earlier.running:
        if time.monotonic() > earlier.started + seconds:
            raise UnansweredError(key, f"{what} still does not answer")
        await anyio.sleep(LOOK_SECONDS)
    for other in [other for other, call in _stuck.items() if not call.running]:
        del _stuck[other]
    if len(_stuck) >= STUCK_MAX:
        raise UnansweredError(key, f"not read, since {STUCK_MAX} other files do not answer")
