"""What a reload looks at: every file of the zones, compared with what was read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from xdpkit.errors import ZoneError
from xdpkit.services.dns.serving.store import recheck
from xdpkit.services.dns.serving.zone_table import Changes, ZoneTable, name_of
from xdpkit.services.dns.zonefile.sources import Source, Stat, zone_stats


def master_files(directory: Path, name: bytes, geo: bool = False) -> dict[str, Stat | None]:
    """The files of a zone, now. Raises ZoneError for a directory that cannot be read."""
    found: dict[str, Stat | None] = {}
    for path, stat in zone_stats(directory, geo).items():
        with suppress(ZoneError):
            if name_of(path) == name:
                found[path] = stat
    return found


def compared(table: ZoneTable) -> Changes:
    """The files that are not as the table has them, and the zones that do not load.

    Raises ZoneError for a directory that cannot be read, or is empty.
    """
    listed: dict[str, Stat | None] = dict(zone_stats(table.directory, table.geo))
    seen, again, sources = dict(listed), set[bytes](), dict[bytes, tuple[Source, ...]]()
    stats: dict[str, Stat | None]
    stats = {path: None for state in table for path in state.paths if path not in listed}
    stats |= {path: stat for path, stat in listed.items() if path not in table.known}
    for state in table.zones.values():
        if state.errors or len(state.paths) > 1:
            again.add(state.name)
            continue
        now = recheck(state.sources, state.paths[0], seen)
        if now is None:
            again.add(state.name)
            stats |= {each.path: seen.get(each.path) for each in state.sources}
        elif now != state.sources:
            sources[state.name] = now
    return Changes(stats, frozenset(again), sources)
