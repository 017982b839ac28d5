"""What compiling a zone has made."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdpkit.services.dns.zonefile.sources import Source
from xdpkit.services.dns.zonefile.zone import ZoneWarning


@dataclass(frozen=True, slots=True)
class MadeZone:
    """A zone that was compiled."""

    origin: bytes
    size: int
    """Bytes of its arena."""
    end: int
    """Where nothing of it is any more in the compiler's file."""
    sources: tuple[Source, ...] = ()
    """What it was made from besides its own files."""
    warnings: list[ZoneWarning] = field(default_factory=list)
    """Of a JSON zone."""
    view: tuple[int, int] | None = None
    """Where the view is, and its size; None if all clients get the same."""
