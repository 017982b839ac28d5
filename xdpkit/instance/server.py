"""``xdpkit run``: starts the services of one instance, runs until a signal, and stops them.

Each service owns its state and is stopped by ``Server``: the control socket (also the lock between
instances), the NTP source, the zone store, the snapshot publisher, the slow path, the data plane,
the address watch, the watchdog, the metrics.
"""

from __future__ import annotations

import atexit
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from typing import Any

import anyio
from anyio.abc import TaskGroup
from pyroute2 import AsyncIPRoute

from xdpkit.bpf.link import foreign_program
from xdpkit.config import Config, ServedAddress
from xdpkit.config.address import Address
from xdpkit.control.server import ControlServer
from xdpkit.dataplane import dataplane as dataplane
from xdpkit.dataplane.dataplane import DataPlane, check_queues, open_dataplane
from xdpkit.errors import NicError, XdpkitError
from xdpkit.instance import report, startup_summary
from xdpkit.instance.counters import read_counters
from xdpkit.instance.handover import successor
from xdpkit.instance.handover.predecessor import Outcome, Predecessor
from xdpkit.instance.handover.successor import HandedOverState
from xdpkit.instance.handover.wire import Wire
from xdpkit.instance.reload import Reloader
from xdpkit.instance.watchdog import Watchdog
from xdpkit.metrics import metrics_server
from xdpkit.nic.os import interface as nic
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.os.phc import PhcWatch
from xdpkit.nic.setup.prepared import PreparedNic, find_login, refuse_login
from xdpkit.runtime import privileges
from xdpkit.runtime.deadline import ShutdownDeadline
from xdpkit.runtime.notify import notify
from xdpkit.runtime.publisher import SnapshotPublisher, initial_parts
from xdpkit.runtime.thread_state import new_thread_state
from xdpkit.services.dns.serving.cookies import CookieSecrets
from xdpkit.services.dns.serving.rrl import ResponseLimits
from xdpkit.services.dns.serving.zone_store import ZoneStore
from xdpkit.services.ntp.admission import Admission
from xdpkit.services.ntp.source import NtpSource
from xdpkit.slowpath.shared_port import SharedPort
from xdpkit.slowpath.tcp import TcpSlowPath
from xdpkit.slowpath.udp import UdpSlowPath

log = logging.getLogger("xdpkit")


def run(config: Config, takeover: bool = False, yes: bool = False, wait: bool = False) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit status. Raises XdpkitError.

    With ``takeover`` it takes over from a running instance, if there is one; with ``yes`` it starts
    even if that moves the traffic of an ssh session; with ``wait`` it first waits until the
    interface exists and is up.
    """
    logging.basicConfig(format="xdpkit: %(message)s", level=logging.INFO, stream=sys.stderr)
    privileges.check(privileges.needed(config.interface.realtime))
    # There is a socket for every address and service: the usual soft limit, 1024, is too low.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if wait:
        anyio.run(nic.await_up, config.interface.name)
    server = Server(config, takeover, yes)
    atexit.register(server.exit_without_threads)
    return anyio.run(server.run)


class Server:
    """One instance: what it obtained, and how its parts are connected."""

    def __init__(self, config: Config, takeover: bool = False, yes: bool = False) -> None:
        self.config = config
        self.takeover = takeover
        self.yes = yes
        self.outcome = Outcome.KEPT
        self.handing_over = False
        self.scope: anyio.CancelScope | None = None
        self.stopping = False
        self.started = time.monotonic()
        self.publisher = SnapshotPublisher(initial_parts(config))
        self.zones: ZoneStore | None = None
        self.cookies: CookieSecrets | None = None
        self.limits: ResponseLimits | None = None
        self.udp_path: UdpSlowPath | None = None
        self.tcp_path: TcpSlowPath | None = None
        self.ntp_port: SharedPort | None = None
        self.changed = anyio.Event()
        self.nic: PreparedNic | None = None
        self.dataplane: DataPlane | None = None
        self.source: NtpSource | None = None
        self.admission: Admission | None = None
        self.deadline = ShutdownDeadline()
        self.all_ended = True
        if config.ntp:
            self.source = NtpSource(config.ntp, self._publish_ntp)
            self.admission = Admission(config.path, config.ntp, self.publisher)
        if config.dns:
            self.zones = ZoneStore(
                config.dns.zones,
                self.publisher,
                config.dns.cache_directory(),
                config.dns.watch,
            )
            self.limits = ResponseLimits(config.path, config.dns.rrl, self.publisher)
            if config.dns.cookies and not config.dns.cookie_secret:
                self.cookies = CookieSecrets(self.publisher)
        parts = (self.admission, self.limits, self.zones)
        self.reloader = Reloader([part for part in parts if part])
        handlers = {"status": self.status, "reload": self.reloader.reload}
        connection_handlers = {"takeover": self._hand_over}
        self.control = ControlServer(config.interface.name, handlers, connection_handlers)
        self.metrics = metrics_server(config.metrics, self.status)

    async def run(self) -> int:
        """Runs the instance; signals are handled from the start to the end."""
        signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        # A successor takes over the name from its predecessor.
        control = closing(self.control) if self.takeover else self.control
        with control, anyio.open_signal_receiver(*signals) as received:
            async with anyio.create_task_group() as tasks, AsyncIPRoute() as ipr:
                tasks.start_soon(self._handle_signals, received, tasks)
                with anyio.CancelScope() as self.scope:
                    await self._open_and_serve(ipr)
                tasks.cancel_scope.cancel()
        if self.outcome is Outcome.GIVEN:
            log.info("stopped: the successor serves %s", self.config.interface.name)
        else:
            log.info("stopped: %s is the kernel's again", self.config.interface.name)
        return 0

    def exit_without_threads(self) -> None:
        """At the very end: a thread that did not stop uses memory that nothing may free."""
        if not self.all_ended:
            log.error("an answering thread did not stop: exiting without waiting for it")
            logging.shutdown()
            os._exit(1)

    async def _handle_signals(
        self, received: AsyncIterator[signal.Signals], tasks: TaskGroup
    ) -> None:
        async for number in received:
            if number != signal.SIGHUP:
                if self.stopping:
                    self.deadline.hurry()
                self._stop()
                continue
            # Before anything is served there is nothing to reload.
            if self.dataplane and not self.stopping:
                tasks.start_soon(self.reloader.reload_and_log)

    async def _open_and_serve(self, ipr: AsyncIPRoute) -> None:
        """Opens, serves until canceled, and closes in the reverse order."""
        interface = await nic.find(ipr, self.config.interface.name)
        check_queues(self.config.interface, interface)
        if interface.xdp_program is not None and not self.takeover:
            # Here, since reading its name takes a capability.
            raise foreign_program(interface)
        privileges.confine(privileges.needed(self.config.interface.realtime))
        privileges.lock_memory()
        async with AsyncExitStack() as stack:
            await self._load_services(stack)
            handed_over, silent = await self._take_over(stack)
            if handed_over:
                # The program on it is ours now.
                interface = replace(interface, xdp_program=None)
            elif self.takeover:
                # The previous instance is gone, and so is its program.
                interface = await nic.find(ipr, interface.name)
            if self.config.interface.slow_path:
                self._open_slow_path(stack, interface.index, handed_over)
            watch = AddressWatch(ipr, interface, self.config.interface.addresses)
            stack.callback(watch.close)
            await watch.read()
            # Before any socket is bound; undone after the last is closed.
            refuse_login(self.config, await find_login(ipr, interface, watch), self.yes)
            self.nic = stack.enter_context(PreparedNic(self.config))
            self.nic.prepare(watch.served(), taken_over=handed_over is not None)
            self.dataplane = open_dataplane(
                self.config.interface,
                self.config.ntp,
                interface,
                self.publisher.shared,
                self.nic.changes,
                self.config.dns,
                handed_over,
            )
            stack.push_async_callback(self._close_shielded, self._close_dataplane)
            if self.config.ntp and self.udp_path:
                port = self.config.ntp.port
                self.ntp_port = SharedPort(port, self.udp_path, watch.served, self.serve_again)
                self.ntp_port.check()
            for problem in await self.serve(watch.served(), watch.reserved()):
                log.warning("%s", problem)
            if handed_over:
                await handed_over.switch(self.dataplane, self.nic.changes)
                handed_over.close()
                self.nic.take_over(watch.served())
            for line in startup_summary.lines(
                self.config, self.dataplane, self.tcp_path, self.nic.notes, watch.served()
            ):
                log.info("%s", line)
            if silent:
                log.warning("nothing was answered for %.0f ms", (time.monotonic() - silent) * 1e3)
            privileges.settle()
            await self._serve(watch)

    async def _load_services(self, stack: AsyncExitStack) -> None:
        """What is served, before anybody is answered: zones, keys, lists, the state of NTP."""
        if self.metrics:
            stack.enter_context(self.metrics)
        if self.zones:
            await self.zones.load()
            stack.callback(self.zones.close)
        if self.admission:
            self.admission.load()
        if self.source:
            stack.callback(self.source.close)
            # Before requests can arrive: none may be answered without a state.
            await self.source.start()

    async def _take_over(self, stack: AsyncExitStack) -> tuple[HandedOverState | None, float]:
        """What a running instance handed over, and since when nothing is answered, or 0."""
        if not self.takeover:
            return None, 0.0
        handed_over = await successor.request_takeover(self.config.interface.name)
        if not isinstance(handed_over, HandedOverState):
            self.control.bind()
            return None, handed_over or 0.0
        stack.callback(handed_over.close)
        self.control.adopt(handed_over.listener)
        if self.cookies and handed_over.facts["cookies"]:
            self.cookies.take_over(handed_over.facts["cookies"])
        return handed_over, 0.0

    def _open_slow_path(
        self, stack: AsyncExitStack, ifindex: int, handed_over: HandedOverState | None
    ) -> None:
        state = new_thread_state(self.config.ntp, self.config.dns)
        self.udp_path = UdpSlowPath(self.publisher, state, ifindex)
        stack.push_async_callback(self._close_shielded, self.udp_path.close)
        if self.config.dns and self.config.dns.tcp_connections:
            self.tcp_path = TcpSlowPath(self.publisher, self.config.dns, ifindex)
            stack.push_async_callback(self._close_shielded, self.tcp_path.close)
        if handed_over:
            self.udp_path.handed_over = handed_over.udp
            if self.tcp_path:
                self.tcp_path.handed_over = handed_over.tcp
        self.udp_path.listener.start()
        if self.tcp_path:
            self.tcp_path.listener.start()

    async def _close_dataplane(self, deadline: ShutdownDeadline) -> bool:
        assert self.dataplane is not None
        if self.outcome is not Outcome.GIVEN:
            return await self.dataplane.close(deadline)
        self.dataplane.release()
        if self.nic:
            self.nic.hand_over()
        if self.tcp_path:
            await self.tcp_path.drain()
        return True

    async def _hand_over(self, connection: socket.socket) -> None:
        """Hands over to a successor and stops, or continues as before."""
        assert self.dataplane is not None
        wire = Wire(connection)
        if self.handing_over:
            await wire.send({"error": "another successor is taking over"})
            wire.close()
            return
        self.handing_over = True
        predecessor = Predecessor(
            self.dataplane, self.udp_path, self.tcp_path, self.control.listener, self.cookies
        )
        self.outcome = await predecessor.hand_over(wire)
        if self.outcome is Outcome.RESTART:
            # Closed when this process exits: that tells the successor that everything is free.
            self.restart_wire = wire
        else:
            wire.close()
        if self.outcome is Outcome.KEPT:
            self.handing_over = False
            self.changed.set()
        else:
            self._stop()

    def _stop(self) -> None:
        notify("STOPPING=1")
        self.stopping = True
        if self.scope:
            self.scope.cancel()

    async def _close_shielded(self, close: Callable[[ShutdownDeadline], Awaitable[bool]]) -> None:
        with anyio.CancelScope(shield=True):
            self.all_ended &= await close(self.deadline)

    async def _serve(self, watch: AddressWatch) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.control.serve)
            tasks.start_soon(self.publisher.run)
            tasks.start_soon(self._follow_addresses, watch)
            tasks.start_soon(self._apply_changes, watch)
            if self.ntp_port:
                tasks.start_soon(self.ntp_port.run)
            if self.dataplane:
                watchdog = Watchdog(
                    self.dataplane, self.udp_path, self.tcp_path, lambda: self.handing_over
                )
                tasks.start_soon(watchdog.run)
            if self.metrics:
                tasks.start_soon(self.metrics.serve)
            if self.source:
                tasks.start_soon(self.source.run)
            if self.dataplane and self.dataplane.hardware:
                clock = self.dataplane.hardware.phc
                watch_clock = PhcWatch(clock, lambda phc: self.publisher.change(phc=phc))
                tasks.start_soon(watch_clock.run)
            if self.zones:
                tasks.start_soon(self.zones.run)
            if self.cookies:
                tasks.start_soon(self.cookies.run)
            notify("READY=1")

    async def serve(self, addresses: list[ServedAddress], reserved: list[Address]) -> list[str]:
        """Makes data plane and slow path answer on these addresses; returns a line per problem.

        Raises NicError if there are too many.
        """
        ports = self.config.ports()
        kernel_ports = {
            name: port for name, port in ports.items() if name not in self.services_left()
        }
        try:
            self.publisher.change(reserved=tuple(reserved))
        except ValueError as error:
            raise NicError(
                f"{self.config.interface.name} has too many addresses, including broadcast "
                f"addresses ({error}): remove some"
            ) from error
        if self.dataplane:
            self.dataplane.serve(addresses, ports)
        # Nothing changes while a successor reads the state.
        problems = self.nic.follow(addresses) if self.nic and not self.handing_over else []
        if self.udp_path is None:
            return problems
        problems += await self.udp_path.serve(addresses, kernel_ports, reserved)
        if self.tcp_path:
            problems += await self.tcp_path.serve(addresses)
        return problems

    async def _follow_addresses(self, watch: AddressWatch) -> None:
        async for _ in watch.changes():
            log.info("addresses now: %s", ", ".join(map(str, watch.served())) or "none")
            self.serve_again()

    def serve_again(self) -> None:
        """Makes ``_apply_changes`` update the served sockets and addresses."""
        self.changed.set()

    def services_left(self) -> frozenset[str]:
        """Services whose port the slow path leaves to another program."""
        return frozenset({"ntp"} if self.ntp_port and self.ntp_port.shared else ())

    async def _apply_changes(self, watch: AddressWatch) -> None:
        """The only task that changes what is served, so that changes never interleave."""
        while True:
            await self.changed.wait()
            self.changed = anyio.Event()
            if self.handing_over:
                continue
            try:
                problems = await self.serve(watch.served(), watch.reserved())
            except (OSError, XdpkitError) as error:
                problems = [f"{error}; what was served before stays served"]
            for problem in problems:
                log.warning("%s", problem)

    def _publish_ntp(self, state: dict[str, int]) -> None:
        self.publisher.change(ntp=state)

    async def status(self) -> dict[str, Any]:
        """The document of ``xdpkit status --json``."""
        assert self.dataplane is not None
        zones = self.zones.infos if self.zones else {}
        uptime_s = time.monotonic() - self.started
        ntp = self.source.facts() if self.source else None
        keys = self.admission.slots if self.admission else {}
        return report.document(
            read_counters(self.dataplane, self.udp_path, self.tcp_path),
            self.dataplane,
            left=self.services_left(),
            zones=zones,
            uptime_s=uptime_s,
            steering=self.nic.steering if self.nic else "none",
            ntp=ntp,
            keys=keys,
            dns={"arena": self.zones.facts()} if self.zones else None,
        )
