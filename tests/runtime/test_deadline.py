"""The limit of an end, and the second signal that takes it away."""

from __future__ import annotations

import anyio
import pytest

from xdpkit.runtime import deadline as deadline
from xdpkit.runtime.deadline import ShutdownDeadline


def never() -> bool:
    return False


def test_what_is_done_is_not_waited_for() -> None:
    assert anyio.run(ShutdownDeadline().wait, lambda: True)


def test_one_limit_for_all_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 0.02)
    end = ShutdownDeadline()
    assert not anyio.run(end.wait, never)
    # The limit is past: this would begin another.
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 3600.0)
    assert not anyio.run(end.wait, never)


def test_a_second_signal_ends_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DRAIN_SECONDS", 3600.0)
    end = ShutdownDeadline()

    async def wait() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end.wait, never)
            await anyio.sleep(0.02)
            end.hurry()
            tasks.start_soon(end.wait, never)

    anyio.run(wait)
