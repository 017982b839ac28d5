"""[dns] of the configuration file: zones, server identity, limits of UDP and TCP."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any, Final, NamedTuple

from xdpkit._core._limits import (
    DNS_AGENT_MAX,
    DNS_COOKIE_SECRETS,
    DNS_NSID_MAX,
    DNS_TEXT_MAX,
    DNS_UDP_MIN,
    SIPHASH_KEY_BYTES,
    ZONE_ITERATIONS_MAX,
)
from xdpkit.config.geo import GeoConfig, GeoFiles, path_of
from xdpkit.config.prefixes import Prefix, check_lists, read_prefixes
from xdpkit.config.rrl import RrlConfig
from xdpkit.config.schema import custom, flag, integer, section, service_port, subtable
from xdpkit.config.toml_document import Table
from xdpkit.errors import ConfigError
from xdpkit.reach import denied, reach

# Each has a page of input; one in sixteen has room for an answer or a long query: 10 KiB each,
# 640 MiB in all.
_MAX_CONNECTIONS = 65536
# Fits an Ethernet MTU of 1500, the IPv6 minimum of 1280 less headers, and a UMEM chunk.
_MAX_UDP = 1232

# RFC 1035 section 2.3.4; with _ (RFC 8552) and without characters that need escapes.
_LABEL = re.compile(rb"[a-zA-Z0-9_-]{1,63}")

# RFC 9018 section 4.4: the key of SipHash-2-4, in hexadecimal digits.
_SECRET_DIGITS = 2 * SIPHASH_KEY_BYTES

# A zone of 10 million names; reading it takes minutes, and as a default no disk error or endless
# log in the place of a zone may take the machine's memory.
MAX_ZONE_BYTES = 1 << 30
# RFC 9276 section 3.1 requires 0; validators treat zones above some bound as unsigned or bogus, and
# 50 is the highest that common ones (BIND 9.18 and later, Unbound) still accept.
NSEC3_ITERATIONS = 50

# The smallest that holds a zone of one full answer (RFC 1035 section 4.2.2), and what no machine's
# memory holds compiled.
_ZONE_BYTES = (1 << 16, 1 << 40)

# FHS 3.0 section 5.5: data that the application can regenerate, at a cost.
CACHE = "/var/cache/xdpkit"
_CACHE: Final[Path | None] = Path(CACHE)


class ZoneLimits(NamedTuple):
    """What a zone may cost: bytes of its files, iterations of its NSEC3 records."""

    size: int = MAX_ZONE_BYTES
    iterations: int = NSEC3_ITERATIONS


DEFAULT_LIMITS = ZoneLimits()


def _zones(table: Table, key: str) -> Path:
    directory = table.document.path.parent / table.string(key)
    try:
        found = table.string(key) and stat.S_ISDIR(os.stat(reach(directory)).st_mode)  # noqa: PTH116
    except PermissionError as error:
        raise table.error(key, f"{directory}: {denied(directory)}") from error
    except (FileNotFoundError, NotADirectoryError):
        found = False
    except OSError as error:
        raise table.error(key, f"{directory}: {error.strerror}") from error
    if not found:
        raise table.error(key, f"no directory {directory}: create it, or name the right one")
    return directory


def _cache(table: Table, key: str) -> Path | None:
    """The directory of compiled zones, relative to the configuration file; None is off."""
    named = table.string(key)
    return table.document.path.parent / named if named else None


def _max_udp(table: Table, key: str) -> int | None:
    return table.integer(key, DNS_UDP_MIN, _MAX_UDP)


def _text(table: Table, key: str, limit: int = DNS_TEXT_MAX) -> bytes:
    """Text as UTF-8; empty is off. Raises ConfigError for more than ``limit`` bytes."""
    return _check_length(table, key, table.string(key).encode(), limit)


def _nsid(table: Table, key: str) -> bytes:
    """The name server identifier (RFC 5001): text, or bytes as "hex:0a0b"; empty is off."""
    kind, colon, digits = table.string(key).partition(":")
    if kind != "hex" or not colon:
        return _text(table, key, DNS_NSID_MAX)
    try:
        return _check_length(table, key, bytes.fromhex(digits), DNS_NSID_MAX)
    except ValueError as error:
        reason = '"hex:" must be followed by pairs of hexadecimal digits, for example "hex:0a0b"'
        raise table.error(key, reason) from error


def _agent(table: Table, key: str) -> bytes:
    """A domain name in wire format; empty is off."""
    text = table.string(key)
    if not text:
        return b""
    labels = text.removesuffix(".").encode().split(b".")
    name = b"".join([bytes((len(label) & 0xFF,)) + label for label in labels]) + b"\0"
    if not all(map(_LABEL.fullmatch, labels)) or len(name) > DNS_AGENT_MAX:
        reason = f"{text!r} is not a domain name: write one such as reports.example"
        raise table.error(key, reason)
    return name


def _check_length(table: Table, key: str, value: bytes, limit: int) -> bytes:
    if len(value) > limit:
        raise table.error(key, f"{len(value)} bytes, but at most {limit} fit: shorten it")
    return value


def _cookie_secrets(table: Table, key: str) -> tuple[bytes, ...]:
    """One secret, or an array of the one in use and the previous or next one.

    No error message reveals a secret. Without cookies they are not read: ``_check_cookies``.
    """
    value = table.values[key]
    if table.values.get("cookies") is False:
        return ()
    if not isinstance(value, list):
        return (_secret(table, key, value),)
    if len(value) > DNS_COOKIE_SECRETS:
        reason = (
            f"{len(value)} secrets, but at most {DNS_COOKIE_SECRETS}: the one in use, one before or"
            " after it"
        )
        raise table.error(key, reason)
    secrets = tuple(_secret(table, (key, i), item) for i, item in enumerate(value))
    if len(set(secrets)) < len(secrets):
        raise table.error((key, 1), "the same secret is listed twice")
    return secrets


def _secret(table: Table, key: str | tuple[str, int], value: Any) -> bytes:
    try:
        if isinstance(value, str) and len(value) == _SECRET_DIGITS:
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise _secret_error(table, key)


def _secret_error(table: Table, key: str | tuple[str, int]) -> ConfigError:
    return table.error(
        key, f"a string of {_SECRET_DIGITS} hexadecimal digits is needed: openssl rand -hex 16"
    )


def _check_cookies(table: Table, cookies: bool) -> None:
    if not cookies and "cookie_secret" in table.values:
        raise table.error("cookie_secret", "cookies = false does not need it: remove one of them")


def _chaos(names: str) -> bytes:
    """A text that the server tells about itself in class CHAOS."""
    return custom(
        _text,
        accepts=f"string, at most {DNS_TEXT_MAX} bytes",
        default=b"",
        doc=f"Answer to {names} in class CHAOS; empty: refused.",
    )


def _family_limit(family: str) -> int | None:
    return custom(
        _max_udp,
        accepts=f"integer, {DNS_UDP_MIN} to {_MAX_UDP}",
        default=None,
        shown="`max_udp`",
        doc=f"Largest answer over UDP and {family}.",
    )


@section("dns", _check_cookies, check_lists)
class DnsConfig:
    """Authoritative DNS over UDP, and over TCP where slow_path is on."""

    zones: Path = custom(
        _zones,
        accepts="path",
        example='"zones"',
        doc="Directory of master files; `NAME.zone` holds the zone NAME.",
    )
    cache: Path | None = custom(
        _cache,
        accepts="path",
        default=_CACHE,
        doc="Directory that keeps compiled zones for the next start; empty: not kept.",
    )
    max_zone_bytes: int = integer(
        *_ZONE_BYTES,
        default=MAX_ZONE_BYTES,
        doc="Largest master file, with all that it includes, in bytes.",
    )
    max_nsec3_iterations: int = integer(
        0,
        ZONE_ITERATIONS_MAX,
        default=NSEC3_ITERATIONS,
        doc="Most iterations of a signed zone's NSEC3 (RFC 9276). Many validators ignore zones with"
        " more than 50; each costs time for each name that does not exist.",
    )
    watch: bool = flag(default=True, doc="Reread changed files automatically.")
    max_udp: int = integer(
        DNS_UDP_MIN, _MAX_UDP, default=_MAX_UDP, doc="Largest answer over UDP in bytes."
    )
    port: int = service_port(default=53, doc="UDP and TCP port.")
    tcp_connections: int = integer(
        0,
        _MAX_CONNECTIONS,
        default=1000,
        doc="Concurrent TCP connections; 0 turns TCP off.",
        restart=True,
    )
    tcp_idle: int = integer(
        1,
        3600,
        default=10,
        doc="Seconds without a query after which a connection is closed.",
        restart=True,
    )
    tcp_queries: int = integer(
        0,
        (1 << 32) - 1,
        default=0,
        doc="Queries after which a connection is closed; 0: any number.",
        restart=True,
    )
    max_udp_ipv4: int | None = _family_limit("IPv4")
    max_udp_ipv6: int | None = _family_limit("IPv6")
    statistics: bool = flag(
        default=True,
        doc="Count queries by type, size, protocol and zone, replies by size (docs/service.md).",
    )
    cookies: bool = flag(default=True, doc="DNS cookies (RFC 7873, RFC 9018).")
    cookie_secret: tuple[bytes, ...] = custom(
        _cookie_secrets,
        accepts=f"string of {_SECRET_DIGITS} hexadecimal digits, or an array of"
        f" {DNS_COOKIE_SECRETS}",
        default=(),
        shown="random, new each day",
        doc="Secret shared by several servers, or the one in use and the previous or next one.",
        secret=True,
    )
    nsid: bytes = custom(
        _nsid,
        accepts=f"string, at most {DNS_NSID_MAX} bytes",
        default=b"",
        doc='Name server identifier (RFC 5001), as text or `"hex:0a0b"`; empty: not sent.',
    )
    report_agent: bytes = custom(
        _agent,
        accepts="domain name",
        default=b"",
        doc="Where resolvers may report errors that they meet in our zones (RFC 9567), for example"
        " `reports.example`: replies with EDNS name it; empty: they do not.",
    )
    version: bytes = _chaos("version.bind and version.server")
    hostname: bytes = _chaos("hostname.bind")
    id: bytes = _chaos("id.server")
    allow: tuple[Prefix, ...] = custom(
        read_prefixes,
        accepts="array of prefixes",
        default=(),
        doc="Prefixes that may ask, over UDP and TCP. The longest match in either list decides; if"
        " not empty, others are denied.",
    )
    deny: tuple[Prefix, ...] = custom(
        read_prefixes,
        accepts="array of prefixes",
        default=(),
        doc="Prefixes that get no answer, and no TCP connection.",
    )
    rrl: RrlConfig | None = subtable(
        RrlConfig, default=None, doc="Limits how many answers an address is sent."
    )
    geoip: Path | None = custom(
        path_of,
        accepts="path",
        default=None,
        doc="Directory of MaxMind's location databases, such as `GeoLite2-City.mmdb`; with it,"
        " `NAME.json` holds the JSON zone NAME.",
    )
    geo: GeoConfig | None = subtable(
        GeoConfig, default=None, doc="JSON zones: answers by location, weight and health."
    )

    @property
    def zone_limits(self) -> ZoneLimits:
        """What a zone may cost."""
        return ZoneLimits(self.max_zone_bytes, self.max_nsec3_iterations)

    @property
    def geo_files(self) -> GeoFiles | None:
        """What JSON zones are compiled with; None: they are not read."""
        if self.geo is None and self.geoip is None:
            return None
        geo = self.geo or GeoConfig()
        return GeoFiles(self.geoip, geo.map, geo.relaxed, geo.max_hosts)

    @property
    def ecs(self) -> bool:
        """Whether answers depend on the client subnet that a query has."""
        return self.geo_files is not None and (self.geo is None or self.geo.ecs)

    def cache_directory(self) -> Path | None:
        """``cache``; the default is replaced by systemd's CacheDirectory, systemd.exec(5)."""
        given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
        return Path(given) if given and self.cache == Path(CACHE) else self.cache

    def limit(self, ip_version: int) -> int:
        """The largest answer over UDP and this IP version, in bytes."""
        limit = self.max_udp_ipv4 if ip_version == 4 else self.max_udp_ipv6
        return self.max_udp if limit is None else limit
