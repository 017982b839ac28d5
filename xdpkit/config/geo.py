"""[dns.geo] of the configuration file: zones whose answers depend on the client and on health."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from xdpkit._core import _limits as limits
from xdpkit.config.schema import custom, flag, integer, section
from xdpkit.config.toml_document import Table

# What GeoDNS answers at most where a zone does not say.
MAX_HOSTS = 2

HOSTS_MAX = limits.GEO_HOSTS_MAX


class GeoFiles(NamedTuple):
    """What JSON zones are compiled with."""

    databases: Path | None = None
    """The directory of the location databases."""
    own: Path | None = None
    """The operator's map."""
    relaxed: bool = False
    max_hosts: int = MAX_HOSTS


def path_of(table: Table, key: str) -> Path | None:
    """A path relative to the configuration file; None if it is empty."""
    named = table.string(key)
    return (table.document.path.parent / named).absolute() if named else None


@section("dns.geo")
class GeoConfig:
    """JSON zones as GeoDNS has them, `NAME.json` in the directory of zones: answers depend on where
    the client is, on weights and on health. They are read if this table or `geoip` is there.
    """

    map: Path | None = custom(
        path_of,
        accepts="path",
        default=None,
        doc="File of prefixes and their locations, which come before those of the databases.",
    )
    health: Path | None = custom(
        path_of,
        accepts="path",
        default=None,
        doc="Directory of status files; each is looked at every second.",
    )
    relaxed: bool = flag(
        default=False, doc="Allow trailing commas and `#` comments in JSON zones, as pgeodns did."
    )
    ecs: bool = flag(
        default=True, doc="Answer by the client subnet (RFC 7871) that a resolver sends."
    )
    answer_all_unhealthy: bool = flag(
        default=True,
        doc="Where all records of an answer are unhealthy, answer as if all were healthy.",
    )
    public_debug: bool = flag(
        default=False,
        doc="Answer `_status` and `_health` of each JSON zone to everybody, not only to clients on"
        " this host.",
    )
    max_hosts: int = integer(
        1, HOSTS_MAX, default=MAX_HOSTS, doc="Records of an answer where a zone does not say."
    )
