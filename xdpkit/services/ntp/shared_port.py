"""Leaves NTP on the slow path to a program of this host that needs its replies (``port_watch``)."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from xdpkit._core._stats import VERDICTS
from xdpkit.config import ServedAddress
from xdpkit.slowpath.udp import UdpSlowPath

log = logging.getLogger("xdpkit")

# How soon a program that misses its replies is noticed: within the two seconds of an iburst.
_LOOK_SECONDS = 1.0

# What the kernel door counts when it is handed a reply.
_NTP_MODE = next(i for i, verdict in enumerate(VERDICTS) if verdict.name == "ntp_mode")


class SharedPort:
    """Whether another program has the NTP port too: ``shared``; ``changed`` is called at a change.

    ``served`` gives the addresses in question.
    """

    def __init__(
        self,
        port: int,
        slow_path: UdpSlowPath,
        served: Callable[[], list[ServedAddress]],
        changed: Callable[[], None],
    ) -> None:
        self.shared = False
        self._port, self._slow_path = port, slow_path
        self._served, self._changed = served, changed

    def look(self) -> None:
        """Leaves NTP to such a program, or takes it up again."""
        shared = self._slow_path.is_shared(self._port, self._served())
        if shared == self.shared:
            return
        self.shared = shared
        self._changed()
        if shared:
            log.warning(
                "another program has UDP port %d ('ss -lunp sport = :%d' shows it): the slow path "
                "leaves it to that, so that it hears its replies; the chosen queues answer on. If "
                "it is a client, give it another source port (chrony: acquisitionport 0)",
                self._port,
                self._port,
            )
        else:
            log.info("UDP port %d is free again: the slow path answers NTP", self._port)

    async def run(self) -> None:
        """Looks for such a program once a datagram for one came to us, and while there is one."""
        strays = 0
        while True:
            await anyio.sleep(_LOOK_SECONDS)
            now = self._slow_path.listener.counters()["verdicts"][_NTP_MODE]
            if now != strays or self.shared:
                try:
                    self.look()
                except OSError as error:
                    log.warning("who has the NTP port could not be read: %s", error)
            strays = now
