"""Databases of MaxMind, flattened into ranges.

The country is the country database's, or the city database's where the former has none or is not
there; the region the city database's, if it is of that country; the AS the AS database's.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Mapping
from pathlib import Path

from xdpkit._core._geo_tree import translate
from xdpkit.errors import ConfigError
from xdpkit.reach import denied, reach
from xdpkit.services.dns.geo.location_table import BITS, Ranges
from xdpkit.services.dns.geo.mmdb import Database
from xdpkit.services.dns.geo.targets import NOWHERE, Location

CITY, COUNTRY, ASN = "City", "Country", "ASN"
KINDS = (COUNTRY, CITY, ASN)

# As GeoDNS looks for them.
_PREFIXES = ("GeoIP2-", "GeoLite2-")


def database_paths(directory: Path) -> dict[str, list[Path]]:
    """Where the databases of a directory may be, by their kind; the first that is there counts."""
    return {kind: [directory / f"{each}{kind}.mmdb" for each in _PREFIXES] for kind in KINDS}


def database_files(directory: Path) -> dict[str, Path]:
    """The databases of a directory by their kind.

    Raises ConfigError if there are none, or a link leads to none, or it cannot be looked at.
    """
    found: dict[str, Path] = {}
    try:
        os.stat(reach(directory))  # noqa: PTH116
        for kind, paths in database_paths(directory).items():
            for path in filter(_is_there, paths):
                found.setdefault(kind, path)
            for path in [] if kind in found else paths:
                _check_no_link(path)
    except PermissionError:
        raise ConfigError(directory, f"cannot be read: {denied(directory)}") from None
    except OSError as error:
        raise ConfigError(directory, f"cannot be read: {error.strerror}") from None
    if not found:
        names = ", ".join(f"{_PREFIXES[-1]}{kind}.mmdb" for kind in KINDS)
        raise ConfigError(directory, f"no databases found: put some of {names} there")
    return found


def _is_there(path: Path) -> bool:
    """Raises OSError where that is not known."""
    try:
        os.stat(reach(path))  # noqa: PTH116
    except FileNotFoundError:
        return False
    return True


def _check_no_link(path: Path) -> None:
    """Raises ConfigError for a link, of a file that is not there, and OSError."""
    there = Path(reach(path))
    if there.is_symlink():
        fix = "put a database there, or remove the link"
        raise ConfigError(path, f"a link to {there.readlink()}, where no file is: {fix}")


def combined(found: Mapping[str, Location]) -> Location:
    """What databases have of an address, by their kinds, as one location."""
    city = found.get(CITY, NOWHERE)
    country = found.get(COUNTRY, NOWHERE).country or city.country
    region = city.region if city.region[:2] == country else ""
    return Location(country, region, found.get(ASN, NOWHERE).asn)


def location_reader(database: Database, kind: str) -> Callable[[int], Location]:
    """What reads a location from the data at an offset of a database of that kind."""
    return _READERS[kind](database)


def ranges_of_database(database: Database, index: Callable[[int], int]) -> tuple[Ranges, Ranges]:
    """The ranges of both IP versions; ``index`` is asked once for each piece of data, by its
    offset. Where there is none, it is 0. Raises DatabaseError.
    """
    versions = (4, 6) if database.version == 6 else (4,)
    leaves = [database.leaves(version, BITS[version]) for version in versions]
    # Most networks share their data with others.
    keys = array("I", sorted({0}.union(*(found for _, found in leaves))))
    indexes = array("I", (index(database.offset(leaf)) if leaf else 0 for leaf in keys))
    for starts, found in leaves:
        translate(starts, found, keys, indexes)
    ipv4, *ipv6 = (Ranges(starts, found) for starts, found in leaves)
    return ipv4, ipv6[0] if ipv6 else Ranges.empty(6)


def _city(database: Database) -> Callable[[int], Location]:
    def location(offset: int) -> Location:
        country = _code(database.text(offset, "country", "iso_code"))
        region = _code(database.text(offset, "subdivisions", 0, "iso_code"))
        return Location(country, f"{country}-{region}" if country and region else "")

    return location


def _country(database: Database) -> Callable[[int], Location]:
    return lambda offset: Location(_code(database.text(offset, "country", "iso_code")))


def _asn(database: Database) -> Callable[[int], Location]:
    def location(offset: int) -> Location:
        number = database.number(offset, "autonomous_system_number")
        return Location(asn=number if number < 1 << 32 else 0)

    return location


def _code(text: str) -> str:
    """A code in lower case; empty for what is none."""
    return text.lower() if text.isascii() and text.isalnum() and len(text) <= 3 else ""


_READERS = {CITY: _city, COUNTRY: _country, ASN: _asn}
