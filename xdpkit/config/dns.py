"""[dns] of the configuration file: zones, server identity, limits of UDP and TCP."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xdpkit.config.rrl import RRL_KEYS, RrlConfig, read_rrl
from xdpkit.config.toml_document import Table
from xdpkit.errors import ConfigError

# Each has a page of input; one in sixteen has room for an answer: 10 KiB each, 640 MiB in all.
_MAX_CONNECTIONS = 65536
# Fits an Ethernet MTU of 1500, the IPv6 minimum of 1280 less headers, and a UMEM chunk.
_MAX_UDP = 1232

# cext/dns/settings.h: DNS_COOKIE_SECRETS, DNS_NSID_MAX, DNS_TEXT_MAX.
_SECRETS = 2
_NSID = 128
_TEXT = 255

# RFC 9018 section 4.4: the key of SipHash-2-4, in hexadecimal digits.
_SECRET_DIGITS = 32


# FHS 3.0 section 5.5: data that the application can regenerate, at a cost.
CACHE = "/var/cache/xdpkit"


@dataclass(frozen=True)
class DnsConfig:
    """[dns]: the directory of master files, the largest UDP answer, TCP limits, server identity.

    At most ``tcp_connections`` are open at once, 0 for no TCP; each is closed after ``tcp_idle``
    seconds without a query, and after ``tcp_queries``, 0 for no limit. Compiled zones are cached in
    ``cache`` unless it is None; with ``watch``, files that change are reloaded. Without a
    ``cookie_secret``, a random one is used; ``nsid``, ``version``, ``hostname`` and ``id`` are off
    when empty. ``rrl`` limits answers over UDP.
    """

    zones: Path
    cache: Path | None = Path(CACHE)
    watch: bool = True
    max_udp: int = _MAX_UDP
    port: int = 53
    tcp_connections: int = 1000
    tcp_idle: int = 10
    tcp_queries: int = 0
    max_udp_ipv4: int | None = None
    max_udp_ipv6: int | None = None
    cookies: bool = True
    cookie_secret: tuple[bytes, ...] = field(default=(), repr=False)
    nsid: bytes = b""
    version: bytes = b""
    hostname: bytes = b""
    id: bytes = b""
    rrl: RrlConfig | None = None

    def cache_directory(self) -> Path | None:
        """``cache``; the default is replaced by systemd's CacheDirectory, systemd.exec(5)."""
        given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
        return Path(given) if given and self.cache == Path(CACHE) else self.cache

    def limit(self, ip_version: int) -> int:
        """The largest answer over UDP and this IP version, in bytes."""
        limit = self.max_udp_ipv4 if ip_version == 4 else self.max_udp_ipv6
        return self.max_udp if limit is None else limit


def read_dns(table: Table) -> DnsConfig:
    table.require("zones", '"zones"')
    directory = table.document.path.parent / table.string("zones")
    if not table.string("zones") or not directory.is_dir():
        raise table.error("zones", f"no directory {directory}: create it, or name the right one")
    return DnsConfig(
        zones=directory,
        cache=_cache(table),
        watch=table.flag("watch", DnsConfig.watch),
        max_udp=table.integer("max_udp", DnsConfig.max_udp, 512, _MAX_UDP),
        port=table.port(DnsConfig.port),
        tcp_connections=table.integer(
            "tcp_connections", DnsConfig.tcp_connections, 0, _MAX_CONNECTIONS
        ),
        tcp_idle=table.integer("tcp_idle", DnsConfig.tcp_idle, 1, 3600),
        tcp_queries=table.integer("tcp_queries", DnsConfig.tcp_queries, 0, (1 << 32) - 1),
        max_udp_ipv4=_max_udp(table, "max_udp_ipv4"),
        max_udp_ipv6=_max_udp(table, "max_udp_ipv6"),
        cookies=_cookies(table),
        cookie_secret=_cookie_secrets(table),
        nsid=_nsid(table),
        version=_text(table, "version"),
        hostname=_text(table, "hostname"),
        id=_text(table, "id"),
        rrl=read_rrl(table.table("rrl", RRL_KEYS)),
    )


def _max_udp(table: Table, key: str) -> int | None:
    """The limit of one address family, if it has its own."""
    return table.integer(key, _MAX_UDP, 512, _MAX_UDP) if key in table.values else None


def _cookies(table: Table) -> bool:
    on = table.flag("cookies", DnsConfig.cookies)
    if not on and "cookie_secret" in table.values:
        raise table.error("cookie_secret", "cookies = false does not need it: remove one of them")
    return on


def _cache(table: Table) -> Path | None:
    """The directory of compiled zones, relative to the configuration file; None is off."""
    named = table.string("cache", CACHE)
    return table.document.path.parent / named if named else None


def _text(table: Table, key: str, limit: int = _TEXT) -> bytes:
    """Text as UTF-8; empty is off. Raises ConfigError for more than ``limit`` bytes."""
    return _check_length(table, key, table.string(key).encode(), limit)


def _nsid(table: Table) -> bytes:
    """The name server identifier (RFC 5001): text, or bytes as "hex:0a0b"; empty is off."""
    kind, colon, digits = table.string("nsid").partition(":")
    if kind != "hex" or not colon:
        return _text(table, "nsid", _NSID)
    try:
        return _check_length(table, "nsid", bytes.fromhex(digits), _NSID)
    except ValueError as error:
        reason = '"hex:" must be followed by pairs of hexadecimal digits, for example "hex:0a0b"'
        raise table.error("nsid", reason) from error


def _check_length(table: Table, key: str, value: bytes, limit: int) -> bytes:
    if len(value) > limit:
        raise table.error(key, f"{len(value)} bytes, but at most {limit} fit: shorten it")
    return value


def _cookie_secrets(table: Table) -> tuple[bytes, ...]:
    """``cookie_secret``: one, or an array of the one in use and the previous or next one.

    No error message reveals a secret.
    """
    value = table.values.get("cookie_secret", [])
    if not isinstance(value, list):
        return (_secret(table, "cookie_secret", value),)
    if len(value) > _SECRETS:
        reason = (
            f"{len(value)} secrets, but at most {_SECRETS}: the one in use, one before or after it"
        )
        raise table.error("cookie_secret", reason)
    secrets = tuple(_secret(table, ("cookie_secret", i), item) for i, item in enumerate(value))
    if len(set(secrets)) < len(secrets):
        raise table.error(("cookie_secret", 1), "the same secret is listed twice")
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
