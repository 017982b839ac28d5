"""Inboxes: bounded, one owner, every wait has an end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from xdpkit.errors import BusyError, ZoneError
from xdpkit.runtime.current_task import CurrentTask
from xdpkit.runtime.inbox import Inbox, Signal


def test_a_full_inbox_refuses_at_once_and_counts_it() -> None:
    async def main() -> None:
        inbox, go, answers = Inbox[int, int]("numbers", 3), anyio.Event(), []

        async def double(number: int) -> int:
            await go.wait()
            return 2 * number

        async def ask(number: int) -> None:
            answers.append(await inbox.ask(number))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbox.run, double)
            for number in range(3):
                tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(BusyError, match="numbers: 3 requests are waiting already"):
                await inbox.ask(99)
            assert inbox.facts() == {"size": 3, "waiting": 3, "refused": 1}
            go.set()
            await anyio.wait_all_tasks_blocked()
            assert answers == [0, 2, 4]
            assert await inbox.ask(5) == 10
            tasks.cancel_scope.cancel()

    anyio.run(main)


def test_whoever_waits_for_an_owner_that_ends_is_told() -> None:
    async def main() -> None:
        inbox, told = Inbox[int, int]("numbers", 3), []

        async def never(number: int) -> int:
            await anyio.sleep_forever()
            raise AssertionError

        async def ask() -> None:
            with pytest.raises(BusyError, match="stopping"):
                await inbox.ask(1)
            told.append(True)

        async with anyio.create_task_group() as asking, anyio.create_task_group() as owner:
            owner.start_soon(inbox.run, never)
            asking.start_soon(ask)
            asking.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            owner.cancel_scope.cancel()
        assert told == [True, True]
        with pytest.raises(BusyError, match="stopping"):
            await inbox.ask(1)

    anyio.run(main)


def test_an_error_is_the_asker_s_and_the_owner_goes_on() -> None:
    async def main() -> None:
        inbox = Inbox[bool, str]("zones", 1)

        async def load(broken: bool) -> str:
            if broken:
                raise ZoneError("z.zone", "broken", 7)
            return "loaded"

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbox.run, load)
            with pytest.raises(ZoneError, match=r"z\.zone:7: broken"):
                await inbox.ask(True)
            assert await inbox.ask(False) == "loaded"
            tasks.cancel_scope.cancel()

    anyio.run(main)


def test_an_asker_that_goes_away_does_not_stop_the_owner() -> None:
    async def main() -> None:
        inbox, go = Inbox[int, int]("numbers", 2), anyio.Event()

        async def same(number: int) -> int:
            await go.wait()
            return number

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbox.run, same)
            with anyio.move_on_after(0.01):
                await inbox.ask(1)
            go.set()
            assert await inbox.ask(2) == 2
            assert inbox.facts()["waiting"] == 0
            tasks.cancel_scope.cancel()

    anyio.run(main)


def test_signals_before_the_owner_looks_count_as_one() -> None:
    async def main() -> None:
        signal = Signal()
        signal.set()
        signal.set()
        await signal.wait()
        with anyio.move_on_after(0.01) as scope:
            await signal.wait()
        assert scope.cancelled_caught

    anyio.run(main)


def test_a_current_task_runs_what_is_current() -> None:
    async def main() -> None:
        ran: list[str] = []
        name: str | None = "one"

        def current() -> Callable[[], Awaitable[None]] | None:
            if name is None:
                return None

            async def task(mine: str = name) -> None:
                ran.append(mine)
                await anyio.sleep_forever()

            return task

        running = CurrentTask(current)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(running.run)
            for name in ("one", None, "two"):  # noqa: B007
                running.restart()
                await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        assert ran == ["one", "two"]

    anyio.run(main)
