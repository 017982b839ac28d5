"""Loads of zone directories, as a starting server does them, and what is answered from them."""

from __future__ import annotations

import dns.message
import dns.rcode

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._zones import ZoneArena
from xdpkit.services.dns.serving.store import Load
from xdpkit.services.dns.serving.zone_table import ZoneState, name_of


def state_of(load: Load, zone: str) -> ZoneState:
    """The state of a zone."""
    return load.table.zones[name_of(f"/{zone}.zone")]


def arena_of(load: Load, zone: str) -> ZoneArena:
    """The arena of a zone that was loaded."""
    arena = state_of(load, zone).arena
    assert arena is not None
    return arena


def addresses(load: Load, name: str) -> list[str] | str:
    """The addresses of a name, or the RCODE that is not NOERROR."""
    snapshot = Snapshot({"dns": 53}, zones=load.table.directory_of_arenas())
    _, reply = answer(snapshot, "dns", dns.message.make_query(name, "A").to_wire())
    assert reply is not None
    message = dns.message.from_wire(reply)
    if message.rcode():
        return dns.rcode.to_text(message.rcode())
    return sorted(record.address for rrset in message.answer for record in rrset)
