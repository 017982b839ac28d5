"""Files of the cache that nothing uses any more: views of no zone, tables of other databases."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from xdpkit.config.geo import GeoFiles
from xdpkit.errors import ConfigError
from xdpkit.services.dns.compiler import view_file
from xdpkit.services.dns.geo import table_file
from xdpkit.services.dns.geo.locations import location_files

# What was written more recently may be that of a reload that is not in use yet.
UNUSED_SECONDS = 3600.0


def remove_unused(
    kept: Path, views: Iterable[bytes], geo: GeoFiles | None, age: float = UNUSED_SECONDS
) -> None:
    """Removes what zones that use these views, compiled with ``geo``, do not need.

    Views written ``age`` seconds ago or earlier, tables an hour ago; what cannot be removed stays.
    While the databases are away, their tables stay, too.
    """
    view_file.remove_views(kept, views, age)
    try:
        files = {} if geo is None else location_files(geo.databases, geo.own)
    except (ConfigError, OSError):
        return
    used = {table_file.file_of(kept, kind, path).name for kind, path in files.items()}
    table_file.remove_tables(kept, used, UNUSED_SECONDS)
