"""Watches the answering threads, hands over what a dead one had, and tells the service manager.

    what happens                       within    what becomes of it
    a worker is dead                   0.25 s    its queue is the kernel's for good
    a worker stands still              9 s       its queue is the kernel's until it turns again
    a door is dead, or the worker of   0.25 s    nobody could answer in its place: the process ends
    a queue with no door beside it               with an error, so that it is started anew
    a door stands still                9 s       the watchdog is not fed any more: the same, by
                                                 force (WatchdogSec= of the unit)
    somebody took the XDP program off  0.25 s    it is put back; where there is another in its place
                                                 the kernel answers until that is gone, or without
                                                 slow path nobody: the watchdog is not fed

A thread is dead when the kernel ended it for a system call that it may not make (cext/runtime/sandbox.h).
The watchdog says that whatever is asked is answered, by one way or another: a queue that was handed
to the kernel feeds it, one that could not be does not.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from xdpkit._core._stats import VERDICTS
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.errors import ThreadError
from xdpkit.runtime.heartbeat import MISSED_BEATS, Beat
from xdpkit.runtime.notify import notify, watchdog_seconds
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath

if TYPE_CHECKING:
    from xdpkit._core._stats import Counters

log = logging.getLogger("xdpkit")

TICK_SECONDS = 0.25

# Above the second within which every loop turns once (cext/xdp/worker.h, WORKER_WAIT_MS).
HEARTBEAT_SECONDS = 3.0

# How often the service manager is told of the rates.
STATUS_SECONDS = 5.0

ANSWERS = [index for index, verdict in enumerate(VERDICTS) if verdict.kind == "answer"]


class Thread(Protocol):
    """What answering threads have in common."""

    @property
    def dead(self) -> bool: ...
    @property
    def sandbox_errno(self) -> int: ...
    def counters(self) -> Counters | dict[str, Any]: ...


class Watchdog:
    """The watch over one instance's threads; ``doors`` are those of the kernel's side, or None.

    While ``paused`` says so, threads may stand still: another process is about to take their place.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        listeners: Mapping[str, UdpSlowPath | TcpSlowPath | None],
        paused: Callable[[], bool],
    ) -> None:
        self._dataplane = dataplane
        self._listeners: dict[str, Thread] = {
            f"the {name} listener": path.listener for name, path in listeners.items() if path
        }
        self._paused = paused
        self._beats = {name: Beat() for name in self._listeners}
        self._answered: tuple[float, dict[str, int]] | None = None

    async def run(self) -> None:
        """Until cancelled. Raises ThreadError when nobody answers in a dead thread's place."""
        feed = watchdog_seconds(os.environ)
        due = dict.fromkeys(("beats", "feed", "status"), time.monotonic())
        periods = {"beats": HEARTBEAT_SECONDS, "feed": feed, "status": STATUS_SECONDS}
        self._say_unconfined()
        while True:
            self._look_for_dead()
            if not self._paused():
                self._look_at_program()
            now = time.monotonic()
            late = {name for name, period in periods.items() if period and now >= due[name]}
            due |= {name: now + (periods[name] or 0) for name in late}
            if "beats" in late and not self._paused():
                self._look_at_beats()
            if "feed" in late and self.all_answered():
                notify("WATCHDOG=1")
            if "status" in late:
                notify(f"STATUS={self.rates(now)}")
            await anyio.sleep(TICK_SECONDS)

    def all_answered(self) -> bool:
        """Whether somebody answers on every queue."""
        if any(beat.stands_still for beat in self._beats.values()):
            return False
        return all(
            bool(self._listeners)
            if queue.detached or self._dataplane.off
            else not queue.beat.stands_still
            for queue in self._dataplane.queues
        )

    def rates(self, now: float) -> str:
        """Answers a second since it was last asked, in words; ``now`` is in seconds."""
        counts = {
            f"queue {queue.number}": answers(queue.worker) for queue in self._dataplane.queues
        }
        counts |= {name: answers(listener) for name, listener in self._listeners.items()}
        before, self._answered = self._answered, (now, counts)
        if before is None:
            return "serving"
        past, old = before
        each = {name: (count - old[name]) / (now - past) for name, count in counts.items()}
        told = ", ".join(f"{name} {rate:,.0f}" for name, rate in each.items())
        return f"{sum(each.values()):,.0f} answers a second ({told})"

    def _look_for_dead(self) -> None:
        for line in self._dataplane.take_from_dead():
            log.error("%s", line)
            if not self._listeners:
                raise ThreadError(f"{line}, which has no slow path (slow_path = false): ending")
        for name, listener in self._listeners.items():
            if listener.dead:
                raise ThreadError(
                    f"the thread of {name} made a system call that it may not and is dead (the "
                    "kernel's log may show it, type=1326): ending, to be started anew"
                )

    def _look_at_program(self) -> None:
        if line := self._dataplane.reattach():
            log.error("%s", line)

    def _look_at_beats(self) -> None:
        for change in self._dataplane.check_heartbeats():
            log.error("%s", change)
        for name, listener in self._listeners.items():
            beat = self._beats[name]
            beat.look(listener.counters()["heartbeat"])
            if beat.missed == MISSED_BEATS:
                log.error("the thread of %s stands still: the watchdog is told no more", name)

    def _say_unconfined(self) -> None:
        threads: list[Thread] = [queue.worker for queue in self._dataplane.queues]
        threads += self._listeners.values()
        for number in {thread.sandbox_errno for thread in threads} - {0, -1}:
            log.warning(
                "the answering threads' system calls are not confined (seccomp: %s)",
                os.strerror(number),
            )


def answers(thread: Thread) -> int:
    """How many a thread has given."""
    verdicts = thread.counters()["verdicts"]
    return sum(verdicts[index] for index in ANSWERS)
