"""Databases of MaxMind, flattened into one table of locations.

The country is the country database's, or the city database's where the former has none or is not
there; the region the city database's, if it is of that country; the AS the AS database's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from xdpkit.errors import ConfigError
from xdpkit.reach import reach
from xdpkit.services.dns.geo.location_table import BITS, LocationTable, RangeTable, Value, merged
from xdpkit.services.dns.geo.mmdb import Database, Leaf
from xdpkit.services.dns.geo.targets import NOWHERE, Location

CITY, COUNTRY, ASN = "City", "Country", "ASN"
KINDS = (COUNTRY, CITY, ASN)

# As GeoDNS looks for them.
_PREFIXES = ("GeoIP2-", "GeoLite2-")


def database_files(directory: Path) -> dict[str, Path]:
    """The databases of a directory by their kind. Raises ConfigError if there are none."""
    found: dict[str, Path] = {}
    for kind in KINDS:
        for path in (directory / f"{prefix}{kind}.mmdb" for prefix in _PREFIXES):
            if Path(reach(path)).exists():
                found.setdefault(kind, path)
    if not found:
        names = ", ".join(f"{_PREFIXES[-1]}{kind}.mmdb" for kind in KINDS)
        raise ConfigError(directory, f"no databases found: put some of {names} there")
    return found


def read_databases(files: Mapping[str, Path]) -> LocationTable:
    """One table of the databases. Raises DatabaseError for one that cannot be read."""
    kinds = [kind for kind in KINDS if kind in files]
    tables = [read_database(files[kind], kind) for kind in kinds]
    if len(tables) == 1:
        return tables[0]

    def combine(found: Sequence[Location]) -> Location:
        return combined(dict(zip(kinds, found, strict=True)))

    return merged(tables, combine)


def combined(found: Mapping[str, Location]) -> Location:
    """What databases have of an address, by their kinds, as one location."""
    city = found.get(CITY, NOWHERE)
    country = found.get(COUNTRY, NOWHERE).country or city.country
    region = city.region if city.region[:2] == country else ""
    return Location(country, region, found.get(ASN, NOWHERE).asn)


def read_database(path: Path, kind: str) -> LocationTable:
    """The table of one database. Raises DatabaseError."""
    database = Database(path)
    return table_of_database(database, _READERS[kind](database), NOWHERE)


def table_of_database(
    database: Database, read: Callable[[int], Value], nothing: Value
) -> RangeTable[Value]:
    """The table of what ``read`` makes of the data at an offset. Raises DatabaseError."""
    table = RangeTable(nothing)
    # By where the data are: most networks share them with others.
    indexes = {0: 0}

    def indexed(leaves: Iterator[Leaf]) -> Iterator[tuple[int, int]]:
        get = indexes.get
        for start, offset in leaves:
            index = get(offset)
            if index is None:
                index = indexes[offset] = table.index(read(offset))
            yield start, index

    for version in (4, database.version):
        table.ranges(version).fill(indexed(database.leaves(version, BITS[version])))
    return table


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
