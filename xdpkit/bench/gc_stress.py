"""``xdpkit run`` whose control plane can be told to create cyclic garbage and collect it.

    python -m xdpkit.bench.gc_stress CPU CONFIG

Over the control socket, ``gc-stress`` starts a Python thread on that CPU that does nothing else,
and ``gc-rest`` stops it: the effect of a busy interpreter on transmit times is compared with an
idle one in the same process. Everything else is the regular daemon.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import anyio

from xdpkit import config
from xdpkit.instance import server as daemon
from xdpkit.runtime.logs import log_to_stderr

# Objects per cycle: a few milliseconds each of building and of collecting.
OBJECTS = 20_000


class GarbageThread:
    """A thread that holds the GIL as much as a thread can."""

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.collections = 0

    def start(self) -> None:
        """Starts it unless it is running."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops it and waits until it has ended."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        os.sched_setaffinity(0, {self._cpu})
        while not self._stop.is_set():
            first: list[Any] = []
            last = first
            for _ in range(OBJECTS):
                last = [last]
            first.append(last)
            del first, last
            gc.collect()
            self.collections += 1


class GcStressServer(daemon.Server):
    """The daemon's server with two more control verbs."""

    def __init__(self, loaded: config.Config, cpu: int) -> None:
        handlers = {"gc-stress": self._stress, "gc-rest": self._rest}
        super().__init__(loaded, handlers=handlers)
        self.garbage = GarbageThread(cpu)

    async def _stress(self) -> dict[str, Any]:
        self.garbage.start()
        return {}

    async def _rest(self) -> dict[str, Any]:
        await anyio.to_thread.run_sync(self.garbage.stop)
        return {"collections": self.garbage.collections}


if __name__ == "__main__":
    log_to_stderr()
    sys.exit(anyio.run(GcStressServer(config.load(sys.argv[2]), int(sys.argv[1])).run))
