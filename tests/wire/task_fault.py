"""``python task_fault.py UNIT -c FILE``: ``xdpkit run -c FILE``, one of whose tasks fails twice."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import anyio

from xdpkit.cli import main as cli
from xdpkit.instance import serving
from xdpkit.runtime.faults import keep_running
from xdpkit.services import table

FAULT = "a fault of the test"
UNITS = (
    "publisher",
    "addresses",
    "ntp",
    "dns",
    "watchdog",
    "reload",
    "SIGHUP",
    "control",
    "metrics",
)

UNIT = sys.argv[1] if len(sys.argv) > 1 else ""


async def keep_failing(unit: str, task: Callable[[], Awaitable[None]]) -> None:
    left = 2 if unit == UNIT else 0

    async def failing() -> None:
        nonlocal left
        if left:
            left -= 1
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(task)
                await anyio.sleep(0.2)
                raise KeyError(FAULT)
        await task()

    await keep_running(unit, failing)


if __name__ == "__main__":
    serving.keep_running = keep_failing
    table.keep_running = keep_failing
    sys.exit(cli.main(["run", *sys.argv[2:]]))
