"""What is read whenever somebody looks at an instance: counters, and where packets were lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import Any

import anyio

from xdpkit.instance import report
from xdpkit.instance.counters import Counters, read_counters
from xdpkit.instance.loss_watch import SAMPLE_SECONDS, LossWatch
from xdpkit.instance.served_addresses import Served
from xdpkit.nic.os.ring_losses import ring_losses
from xdpkit.runtime.health import Reason
from xdpkit.status.rates import add_rates

# Looks that follow each other faster are compared with an earlier one: rates of less are noise.
_SHORTEST_SECONDS = 1.0

# Looks within that time that are kept: anybody may look, as often as he likes.
_MOST_LOOKS = 4


class Accounts:
    """The accounts of one instance; ``left`` gives the services left to other programs."""

    def __init__(self, where: Served, left: Callable[[], Collection[str]]) -> None:
        self._where, self._left = where, left
        interface = where.dataplane.interface
        # What the driver counted before was not lost by us.
        self._nic_before = ring_losses(interface.name, interface.index)
        self._nic = self._nic_before.since(self._nic_before)
        self._losses = LossWatch()
        self._looks: list[tuple[float, dict[str, Any]]] = []

    async def run(self) -> None:
        """Samples what is lost until canceled."""
        while True:
            interface = self._where.dataplane.interface
            # In a thread, and here alone: some drivers ask the NIC, and wait for it.
            now = await anyio.to_thread.run_sync(
                ring_losses, interface.name, interface.index, abandon_on_cancel=True
            )
            self._nic = now.since(self._nic_before)
            with suppress(OSError):
                self._losses.sample(self.read()[1]["where"], time.monotonic())
            await anyio.sleep(SAMPLE_SECONDS)

    def read(self) -> tuple[Counters, dict[str, Any]]:
        """The counters, and their part of the document of ``xdpkit status --json``.

        They are of now, those of the NIC of the last sample. Raises OSError if the kernel does not
        give its part.
        """
        counters = read_counters(self._where.dataplane, self._where.slow_path, self._nic)
        return counters, report.counted(counters, self._where.dataplane, self._left())

    def problems(self, max_ppm: int, where: Mapping[str, Any] | None = None) -> list[Reason]:
        """Why it is not healthy, by what was lost until now: ``where``, if it was just read."""
        try:
            where = where or self.read()[1]["where"]
        except OSError:
            # The interface is going away, which the instance says otherwise.
            return []
        return self._losses.problems(where, time.monotonic(), max_ppm)

    def add_rates(self, where: dict[str, Any]) -> None:
        """Adds the rates since the last look, or since the first; and this is the next one's last.

        There are none at the first look.
        """
        now = time.monotonic()
        before = [look for look in self._looks if now - look[0] >= _SHORTEST_SECONDS]
        if before:
            add_rates(where, before[-1][1], now - before[-1][0])
        # The latest that is old enough, and those after it.
        self._looks = [*before[-1:], *(look for look in self._looks if look not in before)]
        if len(self._looks) < _MOST_LOOKS:
            self._looks.append((now, where))
