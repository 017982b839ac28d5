"""File system calls with a deadline: the loop goes on, and what is stuck is bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import anyio
import pytest

from xdpkit.errors import UnansweredError
from xdpkit.runtime import off_loop as module
from xdpkit.runtime.off_loop import STUCK_MAX, off_loop


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Calls that wait for it do not return before the end of the test."""
    event = threading.Event()
    yield event
    event.set()
    while any(call.running for call in module._stuck.values()):
        time.sleep(0.01)
    module._stuck.clear()


def test_results_and_errors_are_those_of_the_call() -> None:
    def fail() -> None:
        raise FileNotFoundError("nothing")

    async def main() -> None:
        assert await off_loop("a", lambda: 7) == 7
        with pytest.raises(FileNotFoundError, match="nothing"):
            await off_loop("a", fail)

    anyio.run(main)
    assert not module._stuck


def test_a_stuck_call_is_left_behind_and_not_repeated(stuck: threading.Event) -> None:
    async def main() -> None:
        with pytest.raises(UnansweredError, match=r"^a: it did not answer within 0.1 s: check"):
            await off_loop("a", stuck.wait, 0.1)
        threads = threading.active_count()
        with pytest.raises(UnansweredError, match="a: it still does not answer"):
            await off_loop("a", stuck.wait, 0.1)
        assert threading.active_count() == threads
        # Another file is none of its business; and afterwards all is well again.
        assert await off_loop("b", lambda: 1) == 1
        stuck.set()
        assert await off_loop("a", lambda: 2, 20) == 2

    anyio.run(main)


def test_one_that_was_canceled_is_waited_for(stuck: threading.Event) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.05):
            await off_loop("a", stuck.wait)
        threading.Timer(0.2, stuck.set).start()
        assert await off_loop("a", lambda: 3) == 3

    anyio.run(main)


def test_their_number_is_bounded(stuck: threading.Event) -> None:
    async def main() -> None:
        for number in range(STUCK_MAX):
            with pytest.raises(UnansweredError, match="did not answer"):
                await off_loop(str(number), stuck.wait, 0.01)
        with pytest.raises(UnansweredError, match=f"{STUCK_MAX} other files do not answer"):
            await off_loop("one more", lambda: 1)

    anyio.run(main)
