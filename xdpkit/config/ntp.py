"""[ntp] of the configuration file: where the time comes from, and who may ask for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from xdpkit._core._ratelimit import RATELIMIT_BOUNDS, RateLimitRule
from xdpkit.config.address import SocketAddress
from xdpkit.config.prefixes import Prefix, check_lists, read_prefixes
from xdpkit.config.refid import refid_number
from xdpkit.config.schema import choice, custom, flag, integer, section, service_port, subtable
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


# useradd(8): what shadow and systemd accept, and IDs.
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\$?", re.ASCII)


@dataclass(frozen=True)
class Loopback(SocketAddress):
    """Where to query the daemon that disciplines this machine's clock."""


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


def _refid(table: Table, key: str) -> str:
    text = table.string(key)
    try:
        refid_number(text)
    except ValueError as error:
        raise table.error(key, f"{quoted(text)}: {error}") from error
    return text


def _sources(table: Table, key: str) -> tuple[str | Loopback, ...]:
    sources: dict[str | Loopback, None] = {}
    for at, text in table.one_or_more(key):
        try:
            source = text if text in _WORDS else parse_loopback(text)
        except ValueError as error:
            raise table.error(at, f"{quoted(text)}: {error}") from error
        if source in sources:
            raise table.error(at, f"{quoted(text)} is listed twice")
        if "local" in sources:
            raise table.error(at, f'{quoted(text)} is never used after "local": put it first')
        sources[source] = None
    return tuple(sources)


def _users(table: Table, key: str) -> tuple[str, ...]:
    """User names, or IDs in digits; that they exist is not checked, as one file fits all hosts."""
    users = []
    for at, text in table.one_or_more(key):
        if not _USER.fullmatch(text):
            raise table.error(at, f"{quoted(text)} is not a user: write a name or an ID")
        users.append(text)
    return tuple(users)


def _keys(table: Table, key: str) -> Path | None:
    return table.document.path.parent / table.string(key)


def _entries(low: int, *, default: int, doc: str) -> int:
    """The size of a table in the memory of each thread: a power of two, so it is rounded up."""

    def read(table: Table, key: str) -> int:
        entries = table.integer(key, low, _MAX_ENTRIES)
        return 1 << max(2, (entries - 1).bit_length()) if entries else 0

    accepts = f"integer, {low} to {_MAX_ENTRIES}"
    return custom(read, accepts=accepts, default=default, doc=doc, restart=True)


def _bounded(key: str, doc: str) -> int:
    """A field of the rule, whose bounds and default the C code has."""
    return integer(*RATELIMIT_BOUNDS[key], default=getattr(RateLimitRule(), key), doc=doc)


@section("ntp.limit")
class RateLimitConfig:
    """How often one source may ask, like chrony's ratelimit. Without this table there is no
    limit.
    """

    interval: int = _bounded(
        "interval",
        "Average seconds between requests, as a power of two: 3 is 8 s, -1 is half a second.",
    )
    burst: int = _bounded("burst", "Requests that a source may send in a burst after a pause.")
    leak: int = _bounded(
        "leak",
        "Of requests over the limit, one in 2 to this power is answered all the same; 0: none.",
    )
    kod: int = _bounded("kod", "Of the rest, one in 2 to this power gets a kiss-o'-death; 0: none.")
    ipv4_prefix: int = _bounded(
        "ipv4_prefix", "IPv4 addresses with this many leading bits in common are one source."
    )
    ipv6_prefix: int = _bounded(
        "ipv6_prefix", "IPv6 addresses with this many leading bits in common are one source."
    )
    addresses: int = _entries(
        1,
        default=_ADDRESSES,
        doc="Sources that each thread tracks, rounded up to a power of two; four times the busy"
        " ones is good.",
    )

    @property
    def rule(self) -> RateLimitRule:
        """The rule of each source, as the answering threads use it."""
        return RateLimitRule(**{key: getattr(self, key) for key in RATELIMIT_BOUNDS})


@section("ntp", check_lists)
class NtpConfig:
    """Time for NTP clients. xdpkit never sets the clock: discipline it with a daemon of your
    own.
    """

    source: tuple[str | Loopback, ...] = custom(
        _sources,
        accepts="string or array of strings",
        default=("local",),
        shown='"local"',
        doc='`"local"` (this clock, on trust), `"kernel"` (adjtimex), a daemon as in'
        ' `"127.0.0.1:11123"`, or a list of them in order of preference.',
    )
    source_users: tuple[str, ...] = custom(
        _users,
        accepts="string or array of strings",
        default=("_chrony", "chrony", "ntp", "ntpsec"),
        shown='["_chrony", "chrony", "ntp", "ntpsec"]',
        doc="Whose daemon is believed, besides root's and that of the user who runs xdpkit: user"
        " names, or IDs in digits. The socket at the address of `source` must be theirs.",
    )
    stratum: int = integer(
        1, 15, default=10, doc="Stratum of replies with the sources local and kernel."
    )
    refid: str = custom(
        _refid,
        accepts="string",
        default="127.127.1.1",
        doc="Reference ID with local and kernel: an IPv4 address, or up to four characters such"
        ' as `"GPS"`.',
    )
    holdover: int = integer(
        1,
        _MAX_HOLDOVER,
        default=3600,
        doc="Seconds that a silent source is still believed; after that replies say"
        ' "not synchronized".',
    )
    port: int = service_port(default=123)
    interleaved: int = _entries(
        0,
        default=65536,
        doc="Transmit times each thread saves for interleaved clients, rounded up to a power of"
        " two; 0: off.",
    )
    tx_timestamps: str = choice(
        TX_TIMESTAMPS,
        default="auto",
        doc='Where transmit times come from: the frame\'s "completion", the time before the "kick",'
        ' or "auto".',
        restart=True,
    )
    tx_compensation: bool = flag(
        default=False,
        doc="Predict how early a transmit timestamp is, and add that to it.",
        restart=True,
    )
    keys: Path | None = custom(
        _keys,
        accepts="path",
        default=None,
        doc="Key file in chrony's format, such as `/etc/chrony/chrony.keys`. Without it there is no"
        " authentication.",
    )
    allow: tuple[Prefix, ...] = custom(
        read_prefixes,
        accepts="array of prefixes",
        default=(),
        doc="Prefixes that may ask. The longest match in either list decides; if not empty, others"
        " are denied.",
    )
    deny: tuple[Prefix, ...] = custom(
        read_prefixes,
        accepts="array of prefixes",
        default=(),
        doc="Prefixes that get no answer.",
    )
    limit: RateLimitConfig | None = subtable(
        RateLimitConfig, default=None, doc="Limits how often one source may ask."
    )
