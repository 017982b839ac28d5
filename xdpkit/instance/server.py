"""One instance from its start to its end."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping

import anyio
from pyroute2 import AsyncIPRoute

from xdpkit.bpf.loader import Loading
from xdpkit.config import Config
from xdpkit.control.server import Handler
from xdpkit.instance import opening, startup_summary
from xdpkit.instance.ending import Ending
from xdpkit.instance.served_addresses import Served
from xdpkit.instance.serving import Instance
from xdpkit.instance.stages import Stages
from xdpkit.runtime import privileges
from xdpkit.runtime.inbox import Signal
from xdpkit.runtime.publisher import SnapshotPublisher, initial_parts
from xdpkit.runtime.standard_error import StandardError

log = logging.getLogger("xdpkit")


class Server:
    """One instance from its start to its end.

    ``handlers`` are more verbs of its control socket, ``loading`` is its XDP program if that was
    begun already; it stays the caller's.
    """

    def __init__(
        self,
        config: Config,
        takeover: bool = False,
        yes: bool = False,
        handlers: Mapping[str, Handler] | None = None,
        loading: Loading | None = None,
    ) -> None:
        self.config, self.takeover, self.yes = config, takeover, yes
        self.publisher = SnapshotPublisher(initial_parts(config))
        self.handlers = handlers or {}
        self._loading = loading
        self.ending = Ending()
        self._hangups = Signal()
        self._stages = Stages()

    async def run(self) -> int:
        """Runs the instance; signals are handled from the start to the end."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        with anyio.open_signal_receiver(*signals) as received:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._handle_signals, received)
                if isinstance(sys.stderr, StandardError):
                    tasks.start_soon(sys.stderr.run)
                await self.ending.until_stopped(self._open_and_serve)
                tasks.cancel_scope.cancel()
        name = self.config.interface.name
        if self.ending.given:
            log.info("stopped: the successor serves %s", name)
        else:
            log.info("stopped: %s is the kernel's again", name)
        return 1 if self._stages.failed else 0

    async def _open_and_serve(self) -> None:
        async with AsyncIPRoute() as ipr, self._stages as stages:
            instance = await self._open(stages, ipr)
            await instance.serve()

    async def _handle_signals(self, received: AsyncIterator[signal.Signals]) -> None:
        async for number in received:
            if number == signal.SIGHUP:
                self._hangups.set()
            else:
                self.ending.stop()

    async def _open(self, stages: Stages, ipr: AsyncIPRoute) -> Instance:
        """The start, in order; ``stages`` undoes it in the reverse order."""
        config, publisher, ending, takeover = (
            self.config,
            self.publisher,
            self.ending,
            self.takeover,
        )
        lock = await stages.open(opening.lock(config, ipr, takeover, ending))
        control = await stages.open(opening.control_socket(lock, takeover, self.handlers))
        holders = await stages.open(opening.port_holders(config))
        found = await stages.open(opening.interface(config, ipr, takeover))
        metrics = await stages.open(opening.metrics_port(config, takeover))
        loading = await stages.open(opening.program(config, found, self._loading))
        services = await stages.open(opening.loaded_services(config, publisher))
        routes = await stages.open(opening.route_check(config, publisher, services))
        before = await stages.open(
            opening.predecessor(ipr, found, takeover, lock, control, metrics, services)
        )
        slow_path = await stages.open(opening.slow_path(config, publisher, before, ending, holders))
        watch = await stages.open(opening.addresses(config, ipr, before.interface, self.yes))
        prepared = await stages.open(opening.prepared_nic(config, watch, before, ending))
        dataplane = await stages.open(
            opening.dataplane(config, publisher, before, prepared, loading, ending)
        )
        where = Served(watch, publisher, dataplane, prepared, slow_path)
        addresses = await stages.open(opening.served_addresses(config, where))
        await stages.open(opening.switch(before, where, lock))
        self._log_summary(where, before.silent_since, metrics.url if metrics else "")
        privileges.settle()
        return Instance(
            config=config,
            ending=ending,
            lock=lock,
            control=control,
            metrics=metrics,
            services=services,
            routes=routes,
            where=where,
            addresses=addresses,
            hangups=self._hangups,
        )

    def _log_summary(self, where: Served, silent_since: float, metrics: str) -> None:
        for line in startup_summary.lines(
            self.config,
            where.dataplane,
            where.slow_path,
            where.nic.notes,
            where.watch.served(),
            metrics,
        ):
            log.info("%s", line)
        if silent_since:
            log.warning("nothing was answered for %.0f ms", (time.monotonic() - silent_since) * 1e3)
