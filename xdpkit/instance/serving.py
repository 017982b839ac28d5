"""An instance that serves: the tasks of its parts, and what the control socket asks of it."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from xdpkit import __version__
from xdpkit._core._snapshot import PhcMap
from xdpkit.config import Config
from xdpkit.control.lock import InstanceLock
from xdpkit.control.server import ControlServer
from xdpkit.errors import BusyError, ControlError
from xdpkit.instance import report
from xdpkit.instance.accounts import Accounts
from xdpkit.instance.captures import Captures
from xdpkit.instance.ending import Ending
from xdpkit.instance.handover.predecessor import Handovers, Offered
from xdpkit.instance.reload import Reloader
from xdpkit.instance.route_check import RouteCheck
from xdpkit.instance.served_addresses import Served, ServedAddresses
from xdpkit.instance.watchdog import Watchdog
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.phc import PhcWatch
from xdpkit.runtime import standard_error
from xdpkit.runtime.faults import faults, keep_running
from xdpkit.runtime.health import Health, Reason
from xdpkit.runtime.inbox import Signal
from xdpkit.runtime.notify import notify
from xdpkit.services.table import Services
from xdpkit.slowpath.not_served import NotServed

log = logging.getLogger("xdpkit")

if TYPE_CHECKING:
    from xdpkit.metrics.geodns_families import GeodnsInstance
    from xdpkit.metrics.server import MetricsServer


Task = Callable[[], Awaitable[None]]

# Ports that are named as reasons of the health.
_NAMED = 20


@dataclass(frozen=True)
class Instance:
    """What a start has opened; nothing of it is optional but what the configuration leaves out."""

    config: Config
    ending: Ending
    lock: InstanceLock
    control: ControlServer
    metrics: MetricsServer | None
    services: Services
    routes: RouteCheck | None
    where: Served
    addresses: ServedAddresses
    hangups: Signal
    started: float = field(default_factory=time.monotonic)

    async def serve(self) -> None:
        """Serves until canceled; every task ends with it."""
        where = self.where
        checks = (self.routes,) if self.routes else ()
        parts = (self.addresses, *self.services, *checks)
        reloader = Reloader(
            self.config, where.publisher, parts, self._paused, where.dataplane.interface.index
        )
        handovers = Handovers(
            where,
            Offered(self.control.listener, self.lock, self.metrics, self.services),
            self.addresses,
        )

        accounts = Accounts(where, lambda: self.addresses.left)

        async def health() -> Health:
            return self._health(watchdog, reloader, accounts)

        captures = Captures(where)

        async def status() -> dict[str, Any]:
            document = self._status(watchdog, reloader, handovers, accounts)
            return document | {"captures": captures.facts()}

        async def look() -> dict[str, Any]:
            document = await status()
            accounts.add_rates(document["where"])
            return document

        async def hand_over(connection: socket.socket, _: str | None) -> None:
            await handovers.handle(connection, self.ending)

        def rename(interface: Interface) -> None:
            where.dataplane.interface = replace(where.dataplane.interface, name=interface.name)
            try:
                self.control.rename(interface.name)
            except ControlError as error:
                log.warning("%s: the control socket keeps its old name", error)

        where.watch.renamed = rename
        self.control.handlers |= {"status": look, "reload": reloader.reload}
        self.control.argument_handlers["reload-zone"] = self._reload_zone
        self.control.connection_handlers |= {"takeover": hand_over, "dump": captures.handle}
        watchdog = Watchdog(
            where.dataplane, where.slow_path, self._paused, lambda: handovers.parked, health
        )
        if self.metrics:
            self.metrics.status, self.metrics.health = status, health
            self.metrics.geodns = lambda: self._geodns(reloader.config)
        async with anyio.create_task_group() as tasks:
            for unit, task in self._work(reloader, watchdog, accounts).items():
                tasks.start_soon(keep_running, unit, task)
            notify("READY=1")

    async def _reload_zone(self, zone: str) -> dict[str, Any]:
        if self._paused():
            raise BusyError("a successor is taking over: try again")
        return await self.services.reload_zone(zone)

    def _work(self, reloader: Reloader, watchdog: Watchdog, accounts: Accounts) -> dict[str, Task]:
        """The tasks, each a unit of failure."""
        where = self.where
        work: dict[str, Task] = {
            "publisher": where.publisher.run,
            "addresses": self.addresses.run,
            "services": self.services.run,
            "watchdog": watchdog.run,
            "losses": accounts.run,
            "reload": reloader.run,
            "SIGHUP": lambda: self._reload_on_hangup(reloader),
            "control": self.control.serve,
        }
        if where.dataplane.hardware:
            work["PHC"] = PhcWatch(where.dataplane.hardware.phc, self._publish_phc).run
        if self.routes:
            work["routes"] = self.routes.run
        if self.metrics:
            work["metrics"] = self.metrics.serve
        return work

    def _publish_phc(self, phc: dict[str, int] | None) -> None:
        self.where.publisher.change(phc=PhcMap(**phc) if phc else None)

    def _geodns(self, config: Config) -> GeodnsInstance | None:
        """What the metrics under GeoDNS's names say of this server, if they are wanted."""
        if config.metrics is None or not config.metrics.geodns_names or config.dns is None:
            return None
        # Imported here, as the metrics' server is.
        from xdpkit.metrics.geodns_families import GeodnsInstance

        addresses = [each.address for each in self.where.watch.served()]
        ip = str(min(addresses, key=lambda each: (each.version, each))) if addresses else ""
        return GeodnsInstance(config.dns.id.decode(errors="replace") or socket.gethostname(), ip)

    def _paused(self) -> bool:
        return self.addresses.paused

    def _health(
        self,
        watchdog: Watchdog,
        reloader: Reloader,
        accounts: Accounts,
        where: dict[str, Any] | None = None,
    ) -> Health:
        """Healthy, degraded or down, and why; ``where`` is what was just read of the losses."""
        reloaded = reloader.last.problems() if reloader.last else []
        bound = reloader.config.interface.max_loss_ppm
        return Health.of(
            [
                *watchdog.problems(),
                *self._unreachable(),
                *self._ports_not_served(),
                *self.services.problems(),
                *accounts.problems(bound, where),
                *reloaded,
            ]
        )

    def _unreachable(self) -> list[Reason]:
        """Why no request can arrive at all."""
        watch, name = self.where.watch, self.where.dataplane.interface.name
        found = []
        if not watch.up:
            text = f"{name} is down, or has no carrier: no requests can arrive on it"
            found.append(Reason("link_down", text, down=True))
        if not watch.served():
            text = f"{name} has no address: there is nothing to serve"
            found.append(Reason("no_address", text, down=True))
        return found

    def _ports_not_served(self) -> list[Reason]:
        refused = sorted(map(str, self._not_served()))
        found = [Reason("port_not_served", line) for line in refused[:_NAMED]]
        if (more := len(refused) - _NAMED) > 0:
            text = f"and {more} more ports are not served: xdpkit status names them"
            found.append(Reason("port_not_served", text, count=more))
        left = (
            Reason("port_left", f"{service}: the slow path leaves its port to another program")
            for service in sorted(self.addresses.left)
        )
        return [*found, *left]

    def _not_served(self) -> list[NotServed]:
        """Where a port could not be had."""
        metrics = self.metrics.not_served if self.metrics else None
        return [*self.where.slow_path.not_served, *([metrics] if metrics else [])]

    async def _reload_on_hangup(self, reloader: Reloader) -> None:
        while True:
            await self.hangups.wait()
            await reloader.reload_and_log()

    def _status(
        self,
        watchdog: Watchdog,
        reloader: Reloader,
        handovers: Handovers,
        accounts: Accounts,
    ) -> dict[str, Any]:
        """The document of ``xdpkit status --json``."""
        where = self.where
        counters, counted = accounts.read()
        facts = self.services.facts()
        document = report.document(
            counted,
            counters,
            not_served=self._not_served(),
            zones=facts.get("zones", {}),
            uptime_s=time.monotonic() - self.started,
            steering=where.nic.steering,
            ntp=facts.get("ntp"),
            keys=facts.get("key_slots"),
            dns={key: facts[key] for key in ("arena", "health") if key in facts} or None,
        )
        if self.routes:
            document["route_check"] = {"routes": self.routes.count}
        inboxes = (reloader.inbox, *self.services.inboxes())
        health = self._health(watchdog, reloader, accounts, document["where"])
        return {
            "health": health.facts(),
            **document,
            "version": __version__,
            "configuration": str(reloader.config.path.absolute()),
            "served": report.served(
                reloader.config,
                where.watch.served(),
                self._not_served(),
                self.metrics.url if self.metrics else "",
            ),
            "reload": reloader.last.facts() if reloader.last else None,
            "inboxes": {inbox.name: inbox.facts() for inbox in inboxes},
            "faults": dict(faults.counts),
            "takeover": handovers.facts(),
            "log": {"lost_lines": standard_error.lost_lines()},
        }
