"""Which addresses are served: the only task that changes that, so that changes never interleave.

Its inbox is a signal: an address has come or gone, the NTP port is shared or free again, a reload
has changed the list, a handover has failed. Each time everything is read and compared again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import anyio

from xdpkit._core._snapshot import ReservedSources
from xdpkit.config import Config, ServedAddress
from xdpkit.config.address import Address
from xdpkit.dataplane.dataplane import DataPlane, steer_keys
from xdpkit.errors import NicError, XdpkitError
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.setup.prepared import PreparedNic
from xdpkit.runtime.inbox import Signal
from xdpkit.runtime.log_budget import LogBudget
from xdpkit.runtime.publisher import GRACE_PERIOD_SECONDS, SnapshotPublisher
from xdpkit.services.base import Prepared
from xdpkit.slowpath.not_served import NotServed, lines, lines_of_freed
from xdpkit.slowpath.shared_port import SharedPort
from xdpkit.slowpath.slow_path import SlowPath

log = logging.getLogger("xdpkit")

# How often a port that another program has is tried again.
RETRY_SECONDS = 1.0

# Lines about changed addresses, and then one each so many seconds: a neighbor's router
# advertisements make the kernel add and remove some each second.
LINES, LINE_SECONDS = 10, 10.0


@dataclass(frozen=True)
class Served:
    """Where the addresses have to be known."""

    watch: AddressWatch
    publisher: SnapshotPublisher
    dataplane: DataPlane
    nic: PreparedNic
    slow_path: SlowPath


class ServedAddresses:
    """Keeps data plane, NIC rules and listeners at the addresses to serve.

    While ``paused``, nothing changes: a successor is reading the state.
    """

    def __init__(self, config: Config, where: Served) -> None:
        self._ports = config.ports()
        self._interface = config.interface
        self._where = where
        self._again = Signal()
        self._applied = anyio.Event()
        self._said: frozenset[NotServed] = frozenset()
        self._budget = LogBudget(LINES, LINE_SECONDS)
        self._unsaid = 0
        self.paused = False
        self.ntp_port: SharedPort | None = None
        if config.ntp and where.slow_path.udp:
            self.ntp_port = SharedPort(
                config.ntp.port, where.slow_path.udp, where.watch.served, self.update
            )

    @property
    def left(self) -> frozenset[str]:
        """The services whose port the slow path leaves to another program."""
        return frozenset({"ntp"} if self.ntp_port and self.ntp_port.shared else ())

    def update(self) -> None:
        """Has the addresses read and compared again, soon."""
        self._again.set()

    def resume(self) -> None:
        """Ends a pause."""
        self.paused = False
        self.update()

    async def open(self) -> None:
        """Serves for the first time. Raises NicError if there are too many addresses."""
        if self.ntp_port:
            self.ntp_port.check()
        for problem in await self._serve():
            log.warning("%s", problem)

    async def run(self) -> None:
        """Follows the addresses until canceled. Raises NicError when the interface is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow)
            if self.ntp_port:
                tasks.start_soon(self.ntp_port.run)
            tasks.start_soon(self._try_again)
            while True:
                await self._again.wait()
                if not self.paused:
                    await self._apply()

    async def _follow(self) -> None:
        async for _ in self._where.watch.changes():
            self._unsaid += 1
            self._log_changes()
            self.update()

    def _log_changes(self) -> None:
        """Logs which addresses there are now, if that is new and not too often."""
        if self._unsaid and self._budget.take():
            now = ", ".join(map(str, self._where.watch.served())) or "none"
            often = f" (after {self._unsaid} changes)" if self._unsaid > 1 else ""
            log.info("addresses now: %s%s", now, often)
            self._unsaid = 0

    async def _try_again(self) -> None:
        """Looks each second whether ports that another program had are free."""
        while True:
            await anyio.sleep(RETRY_SECONDS)
            self._log_changes()
            if not self.paused and self._where.slow_path.try_again():
                self.update()

    async def _apply(self) -> None:
        applied, self._applied = self._applied, anyio.Event()
        try:
            problems = await self._serve()
        except (OSError, XdpkitError) as error:
            problems = [f"{error}; what was served before stays served"]
        for problem in problems:
            log.warning("%s", problem)
        applied.set()

    async def _serve(self) -> list[str]:
        """Serves the addresses of now; returns a line per problem. Raises NicError."""
        where = self._where
        addresses, reserved = where.watch.served(), where.watch.reserved()
        steer_keys(addresses, self._ports)
        first = str(addresses[0].address).encode() if addresses else b""
        where.publisher.change(reserved=self._hashed(reserved), server_address=first)
        where.slow_path.open(addresses, reserved, self.left)
        where.dataplane.serve(addresses, self._ports, self.left_by_ring)
        problems = where.nic.follow(addresses)
        await where.slow_path.close_others()
        return [*problems, *self._ports_not_served(addresses)]

    @property
    def left_by_ring(self) -> frozenset[tuple[Address, str]]:
        """Addresses and services of another server: it gets what arrives on our queues, too."""
        return frozenset(
            (each.address, each.service)
            for each in self._where.slow_path.not_served
            if each.taken and each.protocol == "udp"
        )

    def _ports_not_served(self, addresses: list[ServedAddress]) -> list[str]:
        """A line for each port that is newly not served; logs which are served again."""
        now, before = self._where.slow_path.not_served, self._said
        self._said = now
        wanted = {served.address for served in addresses}
        for line in lines_of_freed(each for each in before - now if each.address in wanted):
            log.info("%s", line)
        return list(lines(now - before))

    def _hashed(self, reserved: list[Address]) -> ReservedSources:
        try:
            return ReservedSources(reserved)
        except ValueError as error:
            raise NicError(
                f"{self._interface.name} has too many addresses, including broadcast "
                f"addresses ({error}): remove some"
            ) from error

    async def prepare(self, config: Config) -> Prepared:
        """[interface] addresses of a new configuration.

        Raises NicError for more than fit, and for none on a member of a bridge.
        """
        addresses = config.interface.addresses
        if addresses == self._interface.addresses:
            return Prepared()
        watch = self._where.watch
        served = watch.served_with(addresses)
        steer_keys(served, self._ports)
        self._hashed(watch.reserved_with(addresses))
        if self._where.dataplane.interface.master and not served:
            raise NicError(
                f"{self._interface.name} is a member of a bridge and has no address of its own: "
                "set [interface] addresses to those to serve"
            )
        applied: list[anyio.Event] = []

        def commit() -> None:
            self._interface = config.interface
            watch.configured = addresses
            # Of the apply that is still to begin: by the time of ``settled`` it may be over.
            applied.append(self._applied)
            self.update()

        async def settled() -> None:
            """Returns when it is served, or soon: during a handover it is not."""
            with anyio.move_on_after(GRACE_PERIOD_SECONDS):
                await applied[0].wait()

        return Prepared(commit=commit, settled=settled)
