"""``xdpkit run`` with a control plane that can be made to build cyclic garbage and collect it.

    python -m xdpkit.bench.gc_stress CPU CONFIG

Over the control socket, ``litter`` starts a Python thread on that CPU which does nothing else, and
``tidy`` ends it: what a busy interpreter does to transmit times is measured beside an idle one, in
the same process. Everything else is the daemon's own.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import threading
from typing import Any

import anyio

from xdpkit import config
from xdpkit.instance import server as daemon

# Objects in a cycle: some milliseconds of building, and of collecting, at a time.
OBJECTS = 20_000


class Litter:
    """A thread that holds the GIL as much as one can."""

    def __init__(self, cpu: int) -> None:
        self._cpu = cpu
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.collections = 0

    def start(self) -> None:
        """Starts it, if it does not run."""
        if self._thread is None:
            self._stop.clear()
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends it and waits for that."""
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


class LitteredServer(daemon.Server):
    """The daemon's server, which knows two more verbs."""

    def __init__(self, loaded: config.Config, cpu: int) -> None:
        super().__init__(loaded)
        self.litter = Litter(cpu)
        self.control.handlers |= {"litter": self._litter, "tidy": self._tidy}

    async def _litter(self) -> dict[str, Any]:
        self.litter.start()
        return {}

    async def _tidy(self) -> dict[str, Any]:
        await anyio.to_thread.run_sync(self.litter.stop)
        return {"collections": self.litter.collections}


if __name__ == "__main__":
    logging.basicConfig(format="xdpkit: %(message)s", level=logging.INFO, stream=sys.stderr)
    sys.exit(anyio.run(LitteredServer(config.load(sys.argv[2]), int(sys.argv[1])).run))
