"""The stages of a server (``stages.py``), in the order in which ``Server`` opens them.

What comes after a ``yield`` undoes what comes before it. A stage gets the results of earlier ones
that it needs, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyroute2 import AsyncIPRoute

from xdpkit.bpf.link import foreign_program
from xdpkit.bpf.loader import Loading
from xdpkit.config import Config
from xdpkit.control.lock import InstanceLock
from xdpkit.control.server import ControlServer, Handler
from xdpkit.dataplane import dataplane as fast_path
from xdpkit.dataplane.dataplane import DataPlane
from xdpkit.dataplane.forms import begin
from xdpkit.instance import within_reach
from xdpkit.instance.ending import Ending
from xdpkit.instance.handover import successor
from xdpkit.instance.handover.successor import HandedOverState
from xdpkit.instance.route_check import RouteCheck
from xdpkit.instance.served_addresses import Served, ServedAddresses
from xdpkit.metrics import metrics_server
from xdpkit.nic.os import interface as nic
from xdpkit.nic.os.address_watch import AddressWatch
from xdpkit.nic.os.interface import Interface
from xdpkit.nic.os.port_holders import PortHolders
from xdpkit.nic.setup.prepared import PreparedNic, find_login, refuse_login
from xdpkit.runtime import privileges
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.table import Services
from xdpkit.slowpath.slow_path import SlowPath

if TYPE_CHECKING:
    from xdpkit.metrics.server import MetricsServer


@dataclass(frozen=True)
class Predecessor:
    """What there was before: the state that it handed over, or None if nothing was taken over.

    ``interface`` is as the predecessor leaves it; ``silent_since`` is when it stopped answering, or
    0 if it did not (``time.monotonic``).
    """

    state: HandedOverState | None
    interface: Interface
    silent_since: float = 0.0


async def lock(
    config: Config, ipr: AsyncIPRoute, takeover: bool, ending: Ending
) -> AsyncIterator[InstanceLock]:
    """The lock between instances on one interface; a successor gets it later."""
    found = await nic.find(ipr, config.interface.name)
    with closing(InstanceLock(found.name, found.index)) as taken:
        if takeover:
            # While there is still the right to look into another user's directory.
            taken.find_holder()
        else:
            taken.acquire()
        yield taken
        if ending.given:
            taken.give()


async def control_socket(
    lock: InstanceLock, takeover: bool, handlers: Mapping[str, Handler]
) -> AsyncIterator[ControlServer]:
    """The control socket; a successor gets it later."""
    server = ControlServer(lock.ifname, handlers)
    with closing(server):
        if not takeover:
            _bind(server, lock)
        yield server


def _bind(server: ControlServer, lock: InstanceLock) -> None:
    server.has_lock, server.announce = lock.is_held, lock.note
    server.bind()


async def port_holders(config: Config) -> AsyncIterator[PortHolders]:
    """Who has our ports; looked at here, since seeing other users' programs takes a capability."""
    holders = PortHolders(config.ports().values())
    if config.interface.slow_path:
        holders.read()
    yield holders


async def interface(config: Config, ipr: AsyncIPRoute, takeover: bool) -> AsyncIterator[Interface]:
    """The interface; from here on without the rights that neither start nor serving needs."""
    found = await nic.find(ipr, config.interface.name)
    fast_path.check_queues(config.interface, found)
    if found.xdp_program is not None and not takeover:
        # Here, since reading its name takes a capability.
        raise foreign_program(found)
    within_reach.keep_files(config)
    privileges.confine(privileges.needed(config.interface.realtime))
    within_reach.warn_of_reload(config)
    within_reach.warn_of_readers(config)
    privileges.lock_memory()
    yield found


async def metrics_port(config: Config, takeover: bool) -> AsyncIterator[MetricsServer | None]:
    """The port of [metrics], if there is one: connections wait until it is served.

    A successor gets it later: the predecessor may have the same one.
    """
    server = metrics_server(config.metrics)
    if server is None:
        yield None
        return
    with closing(server):
        if not takeover:
            server.bind()
        yield server


async def program(
    config: Config, found: Interface, begun: Loading | None
) -> AsyncIterator[Loading]:
    """The XDP program, which a process of its own compiles while zones are."""
    with closing(begun or begin(config.interface, found.index)) as loading:
        yield loading


async def loaded_services(config: Config, publisher: SnapshotPublisher) -> AsyncIterator[Services]:
    """What is served, before anybody is answered: zones, keys, lists, the state of NTP."""
    with Services(config, publisher) as services:
        try:
            await services.open()
            yield services
        finally:
            await services.end()


async def route_check(
    config: Config, publisher: SnapshotPublisher, services: Services
) -> AsyncIterator[RouteCheck | None]:
    """Which routes lead nowhere, if they are obeyed: read before anybody is answered."""
    if not config.interface.route_check:
        yield None
        return
    with closing(RouteCheck(services, publisher)) as check:
        await check.apply()
        yield check


async def predecessor(
    ipr: AsyncIPRoute,
    found: Interface,
    takeover: bool,
    lock: InstanceLock,
    control: ControlServer,
    metrics: MetricsServer | None,
    services: Services,
) -> AsyncIterator[Predecessor]:
    """What a running instance hands over; it goes on answering until the switch."""
    if not takeover:
        yield Predecessor(None, found)
        return
    state = await successor.request_takeover(found.name, lock.holder)
    if not isinstance(state, HandedOverState):
        lock.acquire()
        _bind(control, lock)
        if metrics:
            metrics.bind()
        # The previous instance is gone, and so is its program.
        yield Predecessor(None, await nic.find(ipr, found.name), state or 0.0)
        return
    with state:
        control.adopt(state.listener)
        if metrics and (port := state.take_metrics(str(metrics.where))):
            metrics.adopt(port)
        elif metrics:
            metrics.bind()
        control.has_lock, control.announce = state.lock_fd >= 0, lock.note
        services.take_over(state.facts)
        # The program on it is ours now.
        yield Predecessor(state, replace(found, xdp_program=None))


async def slow_path(
    config: Config,
    publisher: SnapshotPublisher,
    before: Predecessor,
    ending: Ending,
    holders: PortHolders,
) -> AsyncIterator[SlowPath]:
    """The listener threads, still without sockets."""
    path = SlowPath(config, publisher, before.interface.index, holders)
    try:
        if before.state:
            path.take_over(before.state.udp, before.state.tcp)
        path.start()
        yield path
        if ending.given:
            await path.drain()
    finally:
        ending.all_ended &= await path.close(ending.deadline)


async def addresses(
    config: Config, ipr: AsyncIPRoute, found: Interface, yes: bool
) -> AsyncIterator[AddressWatch]:
    """The addresses of the interface; an ssh session over it must not be cut off."""
    with closing(AddressWatch(ipr, found, config.interface.addresses)) as watch:
        await watch.read()
        refuse_login(config, await find_login(ipr, found, watch), yes)
        yield watch


async def prepared_nic(
    config: Config, watch: AddressWatch, before: Predecessor, ending: Ending
) -> AsyncIterator[PreparedNic]:
    """What a killed run left is undone, and the NIC changed: each change is journaled first."""
    with PreparedNic(config) as prepared:
        prepared.prepare(watch.served(), taken_over=before.state is not None)
        yield prepared
        if ending.given:
            prepared.hand_over()
        elif watch.moved_to:
            prepared.leave(watch.moved_to)


async def dataplane(
    config: Config,
    publisher: SnapshotPublisher,
    before: Predecessor,
    prepared: PreparedNic,
    loading: Loading,
    ending: Ending,
) -> AsyncIterator[DataPlane]:
    """The XDP program, all of whose frames still pass, AF_XDP sockets and workers."""
    opened = fast_path.open_dataplane(
        config.interface,
        config.ntp,
        before.interface,
        publisher.shared,
        prepared.changes,
        config.dns,
        before.state,
        loading,
    )
    yield opened
    if ending.given:
        ending.all_ended &= await opened.release(ending.deadline)
    else:
        ending.all_ended &= await opened.close(ending.deadline)


async def served_addresses(config: Config, where: Served) -> AsyncIterator[ServedAddresses]:
    """The listeners' sockets are opened and the addresses published: frames are redirected."""
    served = ServedAddresses(config, where)
    await served.open()
    yield served


async def switch(before: Predecessor, where: Served, lock: InstanceLock) -> AsyncIterator[None]:
    """Where there is a predecessor: our program in its link, its workers parked, ours started."""
    if before.state:
        await before.state.switch(where.dataplane, where.nic.changes)
        if before.state.lock_fd >= 0:
            lock.adopt(before.state.take_lock())
        before.state.close()
        where.nic.take_over(where.watch.served())
    yield
