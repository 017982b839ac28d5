"""What nobody foresaw: it ends one connection, one request or one turn of a task, never the server.

Each is counted by the unit it ended, and logged once for each place in the source: a client that
causes one again and again fills no log. The counts are in ``xdpkit status --json``, as ``faults``.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from xdpkit.errors import XdpkitError

log = logging.getLogger("xdpkit")

# Between the end of a task by a fault and its next start.
RETRY_SECONDS = 1.0


class Faults:
    """The faults of one process; only the event loop's thread uses it."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        """By unit: the name of a server, an inbox or a task."""
        self._logged: set[tuple[str, str]] = set()

    def expect(self, unit: str) -> None:
        """Has the unit counted from the start, with 0."""
        self.counts.setdefault(unit, 0)

    def record(self, unit: str, error: BaseException) -> str:
        """Counts it; returns a description of one line, which is logged the first time."""
        self.counts[unit] = self.counts.get(unit, 0) + 1
        what = describe(error)
        kind = (unit, what.partition(": ")[0])
        if kind not in self._logged:
            self._logged.add(kind)
            log.error(
                "%s: a fault of xdpkit itself, please report it: %s; it goes on, and logs this "
                "only once (status counts it)",
                unit,
                what,
            )
        return what


faults = Faults()
"""Those of this process."""


def describe(error: BaseException) -> str:
    """The kind of an exception, where it was raised, and its message, on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {str(error)[:200]!r}"


async def keep_running(unit: str, task: Callable[[], Awaitable[None]]) -> None:
    """Runs a task until it returns; one that a fault ends is started again after a second.

    XdpkitErrors are raised: a task ends the instance by one.
    """
    faults.expect(unit)
    while True:
        try:
            await task()
            return
        except XdpkitError:
            raise
        except Exception as error:
            if isinstance(error, ExceptionGroup) and error.subgroup(XdpkitError):
                raise
            faults.record(unit, error)
        await anyio.sleep(RETRY_SECONDS)
