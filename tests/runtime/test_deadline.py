"""The shutdown deadline, and the second signal that ends it."""

from __future__ import annotations

import anyio
import pytest

from xdpkit.runtime import deadline as deadline
from xdpkit.runtime.deadline import ShutdownDeadline


def never() -> bool:
    return False


def test_nothing_waits_for_what_is_done() -> None:
    assert anyio.run(ShutdownDeadline().wait, lambda: True)


def test_one_limit_for_all_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 0.02)
    shutdown = ShutdownDeadline()
    assert not anyio.run(shutdown.wait, never)
    # The deadline has passed: this would start another one.
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 3600.0)
    assert not anyio.run(shutdown.wait, never)


def test_a_second_signal_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 3600.0)
    shutdown = ShutdownDeadline()

    async def wait() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shutdown.wait, never)
            await anyio.sleep(0.02)
            shutdown.hurry()
            tasks.start_soon(shutdown.wait, never)

    anyio.run(wait)
