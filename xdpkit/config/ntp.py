"""[ntp] of the configuration file: where the time comes from, and who may ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from xdpkit._core._ratelimit import RATELIMIT_BOUNDS, RateLimitRule
from xdpkit.config.address import SocketAddress
from xdpkit.config.prefixes import Prefix, check_prefixes, read_prefixes
from xdpkit.config.refid import refid_number
from xdpkit.config.toml_document import Table, quoted

# A week: PHI (RFC 5905) adds 9 s of dispersion by then; clients reject a server at 16 s.
_MAX_HOLDOVER = 7 * 86_400

TX_TIMESTAMPS = ("auto", "completion", "kick")

# 256 MiB of saved timestamps or rate-limited sources for each answering thread.
_MAX_ENTRIES = 1 << 24

# One MiB; about four times the sources that a busy public server sees in a minute.
_ADDRESSES = 65536

_WORDS = ("local", "kernel")
_VALID = 'write "local", "kernel" or a loopback address and port, such as "127.0.0.1:11123"'
_NOT_LOOPBACK = "not a loopback address: the daemon must discipline this machine's own clock"


@dataclass(frozen=True)
class Loopback(SocketAddress):
    """Where to query the daemon that disciplines this machine's clock."""


@dataclass(frozen=True)
class RateLimitConfig:
    """[ntp.limit]: the rate limit of each source.

    ``addresses`` is how many sources each answering thread tracks, a power of two.
    """

    rule: RateLimitRule
    addresses: int


@dataclass(frozen=True)
class NtpConfig:
    """[ntp]; ``source`` lists "local", "kernel" and daemons in order of preference.

    ``stratum`` and ``refid`` are those of "local" and "kernel". ``holdover`` is for how many
    seconds a silent source is still believed. ``interleaved`` is how many transmit times each
    answering thread saves, a power of two, or 0.
    """

    source: tuple[str | Loopback, ...] = ("local",)
    stratum: int = 10
    refid: str = "127.127.1.1"
    holdover: int = 3600
    port: int = 123
    interleaved: int = 65536
    tx_timestamps: str = "auto"
    tx_compensation: bool = False
    keys: Path | None = None
    allow: tuple[Prefix, ...] = ()
    deny: tuple[Prefix, ...] = ()
    limit: RateLimitConfig | None = None


def read_ntp(table: Table) -> NtpConfig:
    """The table's values. Raises ConfigError for the first wrong one."""
    allow, deny = read_prefixes(table, "allow"), read_prefixes(table, "deny")
    try:
        check_prefixes(allow, deny)
    except ValueError as error:
        raise table.error("deny" if deny else "allow", str(error)) from error
    return NtpConfig(
        source=_sources(table),
        stratum=table.integer("stratum", NtpConfig.stratum, 1, 15),
        refid=_refid(table),
        holdover=table.integer("holdover", NtpConfig.holdover, 1, _MAX_HOLDOVER),
        port=table.port(NtpConfig.port),
        interleaved=_entries(table, "interleaved", NtpConfig.interleaved, low=0),
        tx_timestamps=table.choice("tx_timestamps", NtpConfig.tx_timestamps, TX_TIMESTAMPS),
        tx_compensation=table.flag("tx_compensation", NtpConfig.tx_compensation),
        keys=_keys(table),
        allow=allow,
        deny=deny,
        limit=_limit(table),
    )


def _entries(table: Table, key: str, default: int, low: int) -> int:
    """The size of a table in memory: a power of two, so the value is rounded up."""
    entries = table.integer(key, default, low, _MAX_ENTRIES)
    return 1 << max(2, (entries - 1).bit_length()) if entries else 0


def _keys(table: Table) -> Path | None:
    if "keys" not in table.values:
        return None
    return table.document.path.parent / table.string("keys")


def _limit(table: Table) -> RateLimitConfig | None:
    limit = table.table("limit", (*RATELIMIT_BOUNDS, "addresses"))
    if limit is None:
        return None
    rule = RateLimitRule(
        **{
            name: limit.integer(name, getattr(RateLimitRule(), name), *bounds)
            for name, bounds in RATELIMIT_BOUNDS.items()
        }
    )
    return RateLimitConfig(rule, _entries(limit, "addresses", _ADDRESSES, low=1))


def _sources(table: Table) -> tuple[str | Loopback, ...]:
    sources: list[str | Loopback] = []
    for at, text in table.one_or_more("source", "local"):
        try:
            source = text if text in _WORDS else parse_loopback(text)
        except ValueError as error:
            raise table.error(at, f"{quoted(text)}: {error}") from error
        if source in sources:
            raise table.error(at, f"{quoted(text)} is listed twice")
        if "local" in sources:
            raise table.error(at, f'{quoted(text)} is never used after "local": put it first')
        sources.append(source)
    return tuple(sources)


def parse_loopback(text: str) -> Loopback:
    """Reads ``127.0.0.1:11123`` or ``[::1]:11123``.

    Raises ValueError, with the fix, for another form or an address that is not loopback.
    """
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError(_explain(text)) from None
    if bracketed != (address.version == 6) or "%" in host:
        raise ValueError(f'{_VALID} or "[::1]:11123"')
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        raise ValueError(f'write the IPv4 address: "{address.ipv4_mapped}:{port}"')
    if not address.is_loopback:
        raise ValueError(_NOT_LOOPBACK)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError("the port after the colon is not within 1..65535")
    return Loopback(address, int(port))


def _explain(text: str) -> str:
    """Why a source that does not start with an address and a colon is wrong."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        return f"not a source: {_VALID}"
    if not address.is_loopback:
        return _NOT_LOOPBACK
    return f'the port is missing: write "{Loopback(address, 11123)}"'


def _refid(table: Table) -> str:
    text = table.string("refid", NtpConfig.refid)
    try:
        refid_number(text)
    except ValueError as error:
        raise table.error("refid", f"{quoted(text)}: {error}") from error
    return text
