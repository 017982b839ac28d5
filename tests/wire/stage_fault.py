"""``python stage_fault.py open|close STAGE -c FILE``: ``xdpkit run`` with a fault in a stage.

Prints the tasks that are left on the event loop at the end, if any.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from xdpkit.cli import main as cli
from xdpkit.errors import NicError
from xdpkit.instance.server import Server
from xdpkit.instance.stages import Stages

FAULT = "a fault of the test"

WHEN, STAGE = sys.argv[1:3] if len(sys.argv) > 2 else ("", "")


async def failing(stage: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The stage, whose open or close fails once it has done its work."""
    if WHEN == "open":
        raise NicError(FAULT)
    yield await anext(stage)
    await anext(stage, None)
    raise NicError(FAULT)


async def open_with_fault(stages: Stages, stage: AsyncIterator[Any]) -> object:
    name = stage.__name__  # type: ignore[attr-defined]
    if name != STAGE:
        return await plain_open(stages, stage)
    replaced = failing(stage)
    replaced.__name__ = name  # type: ignore[attr-defined]
    return await plain_open(stages, replaced)


async def run_and_count(server: Server) -> int:
    try:
        return await plain_run(server)
    finally:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            print("task left:", task, file=sys.stderr)


plain_open, plain_run = Stages.open, Server.run

if __name__ == "__main__":
    Stages.open = open_with_fault  # type: ignore[method-assign,assignment]
    Server.run = run_and_count  # type: ignore[method-assign]
    sys.exit(cli.main(["run", *sys.argv[3:]]))
