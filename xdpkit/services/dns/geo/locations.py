"""What is known of where addresses are: the databases of a directory, and an operator's map."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from xdpkit.errors import ConfigError
from xdpkit.services.dns.geo.coordinates import Coordinates, coordinates_at
from xdpkit.services.dns.geo.location_db import (
    CITY,
    database_files,
    location_reader,
    ranges_of_database,
)
from xdpkit.services.dns.geo.location_map import MAP_BYTES_MAX, parse_location_map
from xdpkit.services.dns.geo.mmdb import DATABASE_BYTES_MAX, Database, DatabaseError
from xdpkit.services.dns.geo.places import MAP, Fact, PlaceList, PlaceTable, client_fact
from xdpkit.services.dns.geo.table_file import file_of, read_kept, write_table
from xdpkit.services.dns.zonefile.sources import Source, read, stat_of


@dataclass(frozen=True, slots=True)
class Locations:
    """All tables by their kinds."""

    tables: Mapping[str, PlaceTable]
    sources: tuple[Source, ...] = ()
    """The files that they were read from."""

    def fact(self, address: IPv4Address | IPv6Address) -> Fact:
        """What is known of an address: the reference for views, and what ``query`` shows."""
        return client_fact({kind: table.fact(address) for kind, table in self.tables.items()})

    def place(self, address: bytes) -> Coordinates | None:
        """Where an address is, given as in RDATA: of servers, for ``closest``."""
        return self.fact(ip_address(address))[1]


def location_files(directory: Path | None, own: Path | None) -> dict[str, Path]:
    """The files that locations are read from, by their kinds: a directory's databases, and a map.

    Raises what ``database_files`` does.
    """
    files = {} if directory is None else database_files(directory)
    return files if own is None else {**files, MAP: own}


def read_locations(
    files: Mapping[str, Path],
    cache: Path | None = None,
    warn: Callable[[str], None] = lambda _: None,
    keep: bool = True,
) -> Locations:
    """Reads all of ``location_files``, or what is kept of them in the directory ``cache``.

    With ``keep``, a table is kept there when it was read; ``warn`` is told if that fails. Raises
    ConfigError, DatabaseError for a database that is no good: whoever has older ones goes on with
    them.
    """
    tables, sources = {}, []
    for kind, path in files.items():
        kept = None if cache is None else file_of(cache, kind, path)
        table, source = (kept and _kept_table(kept)) or _read_table(path, kind)
        tables[kind] = table
        sources.append(source)
        if keep and kept is not None and isinstance(table.ipv4.starts, array):
            try:
                write_table(kept, table, source)
            except OSError as error:
                warn(f"{kept}: cannot be written: {error.strerror}: the next start takes longer")
    return Locations(tables, tuple(sources))


def _kept_table(kept: Path) -> tuple[PlaceTable, Source] | None:
    """A table that was kept, if the file that it was made from is still the same."""
    try:
        table, source = read_kept(kept)
    except (OSError, ValueError):
        return None
    now = source.recheck(stat_of(source.path))
    return None if now is None else (table, now)


def _read_table(path: Path, kind: str) -> tuple[PlaceTable, Source]:
    most, kind_of_error = (
        (MAP_BYTES_MAX, ConfigError) if kind == MAP else (DATABASE_BYTES_MAX, DatabaseError)
    )
    try:
        source, content = read(path, False, most)
    except OSError as error:
        raise kind_of_error(path, f"cannot be read: {error.strerror}") from None
    if kind == MAP:
        return _map_table(path, content.data), source
    return _database_table(path, kind, content.data), source


def _database_table(path: Path, kind: str, data: bytes) -> PlaceTable:
    database, places = Database(path, data), PlaceList()
    location = location_reader(database, kind)

    def index(offset: int) -> int:
        where = coordinates_at(database, offset) if kind == CITY else None
        return places.add((location(offset), where))

    return PlaceTable(*ranges_of_database(database, index), places.places())


def _map_table(path: Path, data: bytes) -> PlaceTable:
    table, places = parse_location_map(path, data), PlaceList()
    for place in table.values[1:]:
        places.add((place, None))
    return PlaceTable(table.ipv4, table.ipv6, places.places())
