"""Leaves NTP on the slow path to a local program that needs its replies (``udp_sockets``)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable

import anyio

from xdpkit._core._stats import VERDICTS
from xdpkit.config import ServedAddress
from xdpkit.slowpath.udp import UdpSlowPath

log = logging.getLogger("xdpkit")

# How soon a program that is missing its replies is noticed: within the two seconds of an iburst.
_CHECK_SECONDS = 1.0

# The turns after which one that receives our requests, and leaves us none, is noticed too.
_LOOK_TURNS = 10

# The UDP listener's verdict when it receives a reply.
_NTP_MODE = next(i for i, verdict in enumerate(VERDICTS) if verdict.name == "ntp_mode")


class SharedPort:
    """``shared`` is whether another program has the NTP port too; ``changed`` is called on change.

    ``served`` returns the addresses in question.
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

    def check(self) -> None:
        """Stops answering NTP if there is such a program, or resumes."""
        shared = self._slow_path.is_shared(self._port, self._served())
        if shared == self.shared:
            return
        self.shared = shared
        self._changed()
        if shared:
            log.warning(
                "another program has UDP port %d ('ss -lunp sport = :%d' shows it): the slow path "
                "leaves the port to it, so that it gets its replies; the chosen queues keep "
                "answering. If it is a client, give it another source port (chrony: "
                "acquisitionport 0)",
                self._port,
                self._port,
            )
        else:
            log.info("UDP port %d is free again: the slow path answers NTP", self._port)

    async def run(self) -> None:
        """Checks after a datagram meant for such a program, while there is one, and at times."""
        strays = 0
        for turn in itertools.count(1):
            await anyio.sleep(_CHECK_SECONDS)
            now = self._slow_path.listener.counters()["verdicts"][_NTP_MODE]
            if now != strays or self.shared or turn % _LOOK_TURNS == 0:
                try:
                    self.check()
                except OSError as error:
                    log.warning("cannot find out which program has the NTP port: %s", error)
            strays = now
