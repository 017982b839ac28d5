"""The classes of clients that a zone is compiled for: clients of one class get the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from xdpkit.services.dns.geo.coordinates import Coordinates
from xdpkit.services.dns.geo.targets import ANYWHERE, Targeting


class Classes(Protocol):
    """What a compiler needs to know of a view, which tells an address's class."""

    @property
    def id(self) -> bytes:
        """Sixteen bytes that tell views apart; zeros: there is no view."""

    @property
    def classes(self) -> tuple[tuple[str, ...], ...]:
        """By number, the targets of its clients, the most specific first.

        Class 0 is that of clients of whom nothing is known.
        """

    @property
    def coordinates(self) -> tuple[Coordinates | None, ...]:
        """By number, where its clients are, for ``closest``."""


Place = Callable[[bytes], Coordinates | None]
"""Where an IPv4 or IPv6 address is, given as in RDATA: of servers, for ``closest``."""


def nowhere(_: bytes) -> None:
    """Of no address it is known where it is."""


class Everybody:
    """One class of all clients: where there is no location database."""

    id = bytes(16)

    def __init__(self, targeting: Targeting) -> None:
        self.classes = ((ANYWHERE,) if Targeting.GLOBAL in targeting else (),)
        self.coordinates = (None,)
