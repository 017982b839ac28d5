"""What compiling a zone has made."""

from __future__ import annotations

from dataclasses import dataclass

from xdpkit.services.dns.zonefile.sources import Source
from xdpkit.services.dns.zonefile.zone import ZoneWarning


@dataclass(frozen=True, slots=True)
class MadeZone:
    """A zone that was compiled."""

    origin: bytes
    size: int
    """Bytes of its arena."""
    view: tuple[int, int] | None
    """Where the view is, and its size; None if all clients get the same."""
    sources: tuple[Source, ...]
    """What it was made from besides its own files."""
    warnings: list[ZoneWarning]
