"""Where on the sphere an address is, as a city database has it: for ``closest``."""

from __future__ import annotations

import math
from typing import NamedTuple

from xdpkit.services.dns.geo.mmdb import Database


class Coordinates(NamedTuple):
    """Degrees, north and east."""

    latitude: float
    longitude: float


# Half of a great circle, twice: farther than anything, as GeoDNS has it for what is nowhere.
UNKNOWN_DISTANCE = 360.0


def coordinates_at(database: Database, offset: int) -> Coordinates | None:
    """What the data at an offset has. Raises DatabaseError."""
    latitude = database.real(offset, "location", "latitude")
    longitude = database.real(offset, "location", "longitude")
    if latitude is None or longitude is None:
        return None
    there = abs(latitude) <= 90 and abs(longitude) <= 180
    return Coordinates(latitude, longitude) if there else None


def distance(one: Coordinates | None, other: Coordinates | None) -> float:
    """Degrees between two places on the sphere."""
    if one is None or other is None:
        return UNKNOWN_DISTANCE
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    # Haversine: exact for small distances, too.
    half = math.sin((south - north) / 2) ** 2
    half += math.cos(north) * math.cos(south) * math.sin(across / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half))))
