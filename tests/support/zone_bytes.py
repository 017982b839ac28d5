"""The bytes of a zone in memory as they are in a file."""

from __future__ import annotations

from xdpkit._core._limits import ZONE_ARENA_SLOT_AT
from xdpkit._core._zones import ZoneArena


def but_for_its_slot(arena: ZoneArena) -> bytes:
    """Its bytes, with the slot that a file has, none: the zone's in this process is another."""
    found = bytearray(arena.view())
    found[ZONE_ARENA_SLOT_AT : ZONE_ARENA_SLOT_AT + 4] = bytes(4)
    return bytes(found)
