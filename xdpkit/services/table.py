"""The services of an instance: those that its configuration has a table for.

One that is not in ``_make`` needs no state of its own: it is a plain ``Service``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import anyio

from xdpkit.config import Config
from xdpkit.errors import XdpkitError
from xdpkit.runtime.closing import Closing
from xdpkit.runtime.faults import keep_running
from xdpkit.runtime.health import Reason
from xdpkit.runtime.inbox import Inbox
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.base import Service
from xdpkit.services.dns.serving.service import DnsService
from xdpkit.services.echo import EchoService
from xdpkit.services.ntp.service import NtpService


def _make(name: str, config: Config, publisher: SnapshotPublisher) -> Service:
    if name == "ntp" and config.ntp:
        return NtpService(name, config.ntp, publisher)
    if name == "dns" and config.dns:
        return DnsService(name, config.dns, publisher)
    kind = {"echo": EchoService}.get(name, Service)
    return kind(name, publisher)


class Services(Closing):
    """All services together, in the order of the configuration's ports."""

    def __init__(self, config: Config, publisher: SnapshotPublisher) -> None:
        self._services = {name: _make(name, config, publisher) for name in config.ports()}

    def __iter__(self) -> Iterator[Service]:
        return iter(self._services.values())

    async def open(self) -> None:
        """Opens one after the other. Raises XdpkitError; ``close`` closes what was opened."""
        for service in self:
            await service.open()

    async def run(self) -> None:
        """Runs all until canceled."""
        async with anyio.create_task_group() as tasks:
            for service in self:
                tasks.start_soon(keep_running, service.name, service.run)

    def facts(self) -> dict[str, Any]:
        """What they add to ``xdpkit status --json``."""
        return {key: value for service in self for key, value in service.facts().items()}

    async def reload_zone(self, zone: str) -> dict[str, Any]:
        """Reads one zone again; returns its facts. Raises XdpkitError."""
        for service in self:
            if isinstance(service, DnsService):
                return await service.reload_zone(zone)
        raise XdpkitError("no zones are served: [dns] is missing from the configuration")

    def problems(self) -> list[Reason]:
        """Why they are not healthy."""
        return [reason for service in self for reason in service.problems()]

    def inboxes(self) -> tuple[Inbox[Any, Any], ...]:
        """The inboxes of all."""
        return tuple(inbox for service in self for inbox in service.inboxes())

    def handed_over(self) -> dict[str, Any]:
        """What a successor takes over (JSON)."""
        return {key: value for service in self for key, value in service.handed_over().items()}

    def take_over(self, facts: Mapping[str, Any]) -> None:
        """Takes over what a predecessor's ``handed_over`` gave."""
        for service in self:
            service.take_over(facts)

    async def end(self) -> None:
        """Ends the processes of a start that came no further."""
        for service in reversed(list(self)):
            await service.end()

    def close(self) -> None:
        for service in reversed(list(self)):
            service.close()
