"""``python reload_fault.py FAULT -c FILE``: ``xdpkit run -c FILE`` with faults in its reloads.

The file FAULT says which, once: ``STEP ERROR``. Part 0 are the addresses, then come the services.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from xdpkit.cli import main as cli
from xdpkit.config import Config
from xdpkit.errors import NicError
from xdpkit.instance import reload
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.base import Prepared

FAULT = "a fault of the test"
ERRORS = {
    "NicError": NicError(FAULT),
    "MemoryError": MemoryError(FAULT),
    "KeyError": KeyError(FAULT),
}
PARTS = range(4)
BEFORE = ["load", "difference", *(f"prepare{part}" for part in PARTS), "publish"]
"""Steps after whose failure nothing has changed."""
AFTER = [f"{step}{part}" for step in ("commit", "settled") for part in PARTS] + ["grace"]

path = Path(sys.argv[1] if len(sys.argv) > 1 else "/nonexistent")


def reached(step: str) -> None:
    try:
        wanted, error = path.read_text().split()
    except (OSError, ValueError):
        return
    if wanted == step:
        path.write_text("")
        raise ERRORS[error]


def failing(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **named: Any) -> Any:
        reached(step)
        return function(*arguments, **named)

    return wrapped


class FailingPart:
    """A part of the instance, whose every step may fail."""

    def __init__(self, number: int, part: reload.Part) -> None:
        self._number, self._part = number, part

    async def prepare(self, config: Config) -> Prepared:
        reached(f"prepare{self._number}")
        prepared = await self._part.prepare(config)
        return replace(
            prepared,
            commit=failing(f"commit{self._number}", prepared.commit),
            settled=failing(f"settled{self._number}", prepared.settled),
        )


class FailingReloader(reload.Reloader):
    """A reloader of such parts."""

    def __init__(self, config: Config, publisher: SnapshotPublisher, parts: Any, *more: Any):
        failing_parts = [FailingPart(number, part) for number, part in enumerate(parts)]
        assert len(failing_parts) == len(PARTS)
        super().__init__(config, Publisher(publisher), failing_parts, *more)  # type: ignore[arg-type]


class Publisher:
    """The publisher, as far as a reload uses it."""

    def __init__(self, publisher: SnapshotPublisher) -> None:
        self.change = failing("publish", publisher.change)
        self.settle = failing("grace", publisher.settle)


if __name__ == "__main__":
    from xdpkit.instance import serving

    reload.load = failing("load", reload.load)
    reload.difference = failing("difference", reload.difference)
    serving.Reloader = FailingReloader  # type: ignore[misc]
    sys.exit(cli.main(["run", *sys.argv[2:]]))
