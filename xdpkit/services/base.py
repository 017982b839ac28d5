"""What a service is to the instance that runs it: one object, from its start to its end.

A service owns its state. It is opened before anything is answered, runs one task, prepares its
share of a reload without using it, and is closed. This class is a service without any state: the
packet code in ``cext/`` answers (``cext/service/table.h``), and a port in the configuration is all
that it needs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xdpkit.config import Config
from xdpkit.errors import XdpkitError
from xdpkit.runtime.health import Reason
from xdpkit.runtime.inbox import Inbox
from xdpkit.runtime.publisher import SnapshotPublisher
from xdpkit.services.access_list import Rules


def _nothing() -> None:
    """There is nothing to commit, or to discard."""


async def _at_once() -> None:
    """There is nothing to wait for."""


@dataclass(frozen=True)
class Prepared:
    """One service's share of a reload, which is not in use yet.

    ``parts`` are its parts of the next snapshot; ``commit``, which cannot fail, is called once that
    is published; ``settled`` returns when it has taken effect. ``facts`` go into the reply.
    ``wrong`` is what could not be loaded, while the rest is taken.
    ``discard`` is called instead of ``commit`` if another share is refused: it releases what was
    loaded, and nothing has changed.
    """

    parts: Mapping[str, Any] = field(default_factory=dict)
    commit: Callable[[], None] = _nothing
    settled: Callable[[], Awaitable[None]] = _at_once
    facts: Mapping[str, Any] = field(default_factory=dict)
    discard: Callable[[], None] = _nothing
    wrong: Sequence[XdpkitError] = ()


class Service:
    """A service; ``name`` is its table in the configuration and its row in the C table."""

    def __init__(self, name: str, publisher: SnapshotPublisher) -> None:
        self.name = name
        self._publisher = publisher
        self.nowhere: Rules | None = None
        """Routes that lead nowhere, with [interface] route_check: who comes from there gets no
        answer.
        """

    def admit(self) -> dict[str, Any]:
        """Its access lists, with ``nowhere``, as parts of the snapshot."""
        return {}

    async def open(self) -> None:
        """Loads what it needs to answer, and publishes it. Raises XdpkitError."""

    async def run(self) -> None:
        """Keeps its state up to date until canceled."""

    async def prepare(self, config: Config) -> Prepared:
        """Loads what a new configuration asks for, without using it.

        Keys that need a restart are unchanged. Raises XdpkitError, and then has changed nothing.
        """
        return Prepared()

    def facts(self) -> dict[str, Any]:
        """What it adds to ``xdpkit status --json``, besides counters."""
        return {}

    def problems(self) -> list[Reason]:
        """Why it is not healthy."""
        return []

    def inboxes(self) -> tuple[Inbox[Any, Any], ...]:
        """Its inboxes, for status."""
        return ()

    def handed_over(self) -> dict[str, Any]:
        """What a successor takes over (JSON)."""
        return {}

    def take_over(self, facts: Mapping[str, Any]) -> None:
        """Takes over what a predecessor's ``handed_over`` gave."""

    async def end(self) -> None:
        """Ends its processes, if ``run`` is not there to do so: before ``close``."""

    def close(self) -> None:
        """Releases everything; a second call does nothing."""
