"""Watches the answering threads, redirects the queues of dead ones, and feeds systemd's watchdog.

    what happens                       within    consequence
    a worker is dead                   0.25 s    the slow path answers for its queue, for good
    a worker is stalled                9 s       the slow path answers until it runs again
    a listener thread is dead, or a    0.25 s    nothing could answer instead: the process exits
    worker when there is no slow path            with an error, so that it is restarted
    a listener thread is stalled       9 s       the watchdog is no longer fed: systemd kills and
                                                 restarts the process (WatchdogSec= of the unit)
    a worker parked late for a         0.25 s    it is started again: the successor was refused
    successor (instance/handover)
    someone detached the XDP program   0.25 s    it is reattached; while another program is attached
                                                 instead, the slow path answers, or without one
                                                 nothing does: the watchdog is not fed

A thread is dead when the kernel killed it for a forbidden system call (cext/runtime/sandbox.h). The
watchdog is fed while every request is answered, one way or another: a queue that the slow path
answers for does not prevent that, one that nothing answers for does.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable

import anyio

from xdpkit._core._thread import Thread
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.errors import ThreadError
from xdpkit.escape import escape
from xdpkit.instance.counters import read_threads
from xdpkit.runtime.health import Health, Reason
from xdpkit.runtime.heartbeat import MISSED_BEATS, Heartbeat
from xdpkit.runtime.notify import notify, watchdog_seconds
from xdpkit.slowpath.slow_path import SlowPath

log = logging.getLogger("xdpkit")

TICK_SECONDS = 0.25

# Above the second within which every loop turns (cext/xdp/worker.h, WORKER_WAIT_MS).
HEARTBEAT_SECONDS = 3.0

# How often the service manager gets the answer rates.
STATUS_SECONDS = 5.0


class Watchdog:
    """Watches one instance's threads.

    While ``paused`` is true, a successor is about to take over, and the program is left as it is;
    while ``parked`` is, workers do not run.
    """

    def __init__(
        self,
        dataplane: DataPlane,
        slow_path: SlowPath,
        paused: Callable[[], bool],
        parked: Callable[[], bool],
        health: Callable[[], Awaitable[Health]],
    ) -> None:
        self._dataplane, self._slow_path = dataplane, slow_path
        self._listeners: dict[str, Thread] = {
            f"the {name} listener": path.listener for name, path in slow_path.listeners()
        }
        self._paused, self._parked, self._health = paused, parked, health
        self._warned = False
        self._beats = {name: Heartbeat() for name in self._listeners}
        self._answered: tuple[float, dict[str, int]] | None = None

    async def run(self) -> None:
        """Runs until canceled. Raises ThreadError if nothing answers instead of a dead thread."""
        feed = watchdog_seconds(os.environ)
        due = dict.fromkeys(("beats", "feed", "status"), time.monotonic())
        periods = {"beats": HEARTBEAT_SECONDS, "feed": feed, "status": STATUS_SECONDS}
        self._warn_if_unconfined()
        while True:
            self._check_for_dead_threads()
            if not self._paused():
                self._check_program()
            now = time.monotonic()
            due_now = {name for name, period in periods.items() if period and now >= due[name]}
            if "feed" in due_now and not self.everything_is_answered():
                # At the next tick again: the period is half of what the service manager waits.
                due_now.remove("feed")
            due |= {name: now + (periods[name] or 0) for name in due_now}
            if not self._parked():
                self._resume_late_workers()
            if "beats" in due_now and not self._parked():
                self._check_heartbeats()
            if "feed" in due_now:
                notify("WATCHDOG=1")
            if "status" in due_now:
                health = escape((await self._health()).sentence())
                notify(f"STATUS={health}; {self.rates(now)}")
            await anyio.sleep(TICK_SECONDS)

    def everything_is_answered(self) -> bool:
        """Whether requests on every queue are answered."""
        if any(beat.stalled for beat in self._beats.values()):
            return False
        return all(
            bool(self._listeners)
            if queue.detached or self._dataplane.off
            else not queue.beat.stalled and not queue.parked
            for queue in self._dataplane.queues
        )

    def problems(self) -> list[Reason]:
        """A reason for each part that does not answer as it should; none where all is well."""
        found = [
            Reason("listener_stalled", f"the thread of {name} is stalled")
            for name, beat in self._beats.items()
            if beat.stalled
        ]
        if self._dataplane.off:
            found.append(Reason("program_detached", "the XDP program is not on the interface"))
        for queue in self._dataplane.queues:
            worker = f"the worker of queue {queue.number}"
            if queue.worker.dead:
                found.append(Reason("worker_dead", f"{worker} is dead"))
            elif queue.beat.stalled:
                found.append(Reason("worker_stalled", f"{worker} is stalled"))
            elif queue.detached:
                text = f"the slow path answers for queue {queue.number}: its worker does not run"
                found.append(Reason("queue_detached", text))
        if found and not self.everything_is_answered():
            found.append(Reason("not_answered", "not everything is answered", down=True))
        return found

    def rates(self, now: float) -> str:
        """Answers a second since the previous call, in words; ``now`` is in seconds."""
        counters = read_threads(self._dataplane, self._slow_path)
        counts = {thread.name: thread.answers for thread in counters.threads}
        before, self._answered = self._answered, (now, counts)
        if before is None:
            return "serving"
        then, old = before
        # A worker that was started again counts from 0.
        each = {name: max(0, count - old[name]) / (now - then) for name, count in counts.items()}
        details = ", ".join(f"{name} {rate:,.0f}" for name, rate in each.items())
        return f"{sum(each.values()):,.0f} answers a second ({details})"

    def _check_for_dead_threads(self) -> None:
        for line in self._dataplane.detach_dead_queues():
            log.error("%s", line)
            if not self._listeners:
                raise ThreadError(f"{line}, but there is no slow path (slow_path = false): exiting")
        for name, listener in self._listeners.items():
            if listener.dead:
                raise ThreadError(
                    f"the thread of {name} made a forbidden system call and was killed (the kernel "
                    "log may show it, type=1326): exiting, to be restarted"
                )

    def _check_program(self) -> None:
        if line := self._dataplane.reattach():
            log.error("%s", line)
        if self._dataplane.reclaim_link():
            log.warning("the XDP program of another instance was in our link: ours is back")

    def _resume_late_workers(self) -> None:
        for line in self._dataplane.resume_parked():
            log.info("%s", line)

    def _check_heartbeats(self) -> None:
        for change in self._dataplane.check_heartbeats():
            log.error("%s", change)
        for name, listener in self._listeners.items():
            beat = self._beats[name]
            beat.update(listener.heartbeat)
            if beat.missed == MISSED_BEATS:
                log.error("the thread of %s is stalled: the watchdog is no longer fed", name)

    def _warn_if_unconfined(self) -> None:
        warned, self._warned = self._warned, True
        if warned:
            return
        threads: list[Thread] = [queue.worker for queue in self._dataplane.queues]
        threads += self._listeners.values()
        for number in {thread.sandbox_errno for thread in threads} - {0, -1}:
            log.warning(
                "the system calls of the answering threads are not confined (seccomp: %s)",
                os.strerror(number),
            )
