"""Keys of [dns] that are more than a number or a word: a path, and bytes that the C code takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xdpkit.errors import ConfigError
from xdpkit.toml_read import Table

# cext/dns_settings.h: DNS_COOKIE_SECRETS, DNS_NSID_MAX, DNS_TEXT_MAX.
_SECRETS = 2
_NSID = 128
_TEXT = 255

# RFC 9018 section 4.4: the key of SipHash-2-4, in hexadecimal digits.
_SECRET_DIGITS = 32


# FHS 3.0 section 5.5: what an application can make again, and would rather not.
CACHE = "/var/cache/xdpkit"


def cache(table: Table) -> Path | None:
    """The directory of compiled zones, relative to the configuration's; None is off."""
    named = table.string("cache", CACHE)
    return table.document.path.parent / named if named else None


def text(table: Table, key: str, most: int = _TEXT) -> bytes:
    """A text as UTF-8; empty is off. Raises ConfigError for more than ``most`` bytes."""
    return _fitting(table, key, table.string(key).encode(), most)


def nsid(table: Table) -> bytes:
    """The name server identifier (RFC 5001): text, or any bytes as "hex:0a0b"; empty is off."""
    kind, colon, digits = table.string("nsid").partition(":")
    if kind != "hex" or not colon:
        return text(table, "nsid", _NSID)
    try:
        return _fitting(table, "nsid", bytes.fromhex(digits), _NSID)
    except ValueError as error:
        reason = 'pairs of hexadecimal digits follow "hex:", for example "hex:0a0b"'
        raise table.error("nsid", reason) from error


def _fitting(table: Table, key: str, value: bytes, most: int) -> bytes:
    if len(value) > most:
        raise table.error(key, f"{len(value)} bytes, {most} fit: make it shorter")
    return value


def cookie_secrets(table: Table) -> tuple[bytes, ...]:
    """``cookie_secret``: one, or an array of the one in use and the one before or after it.

    No refusal shows what a secret is.
    """
    value = table.values.get("cookie_secret", [])
    if not isinstance(value, list):
        return (_secret(table, "cookie_secret", value),)
    if len(value) > _SECRETS:
        reason = f"{len(value)} secrets, {_SECRETS} at most: the one in use, one before or after it"
        raise table.error("cookie_secret", reason)
    secrets = tuple(_secret(table, ("cookie_secret", i), item) for i, item in enumerate(value))
    if len(set(secrets)) < len(secrets):
        raise table.error(("cookie_secret", 1), "the same secret is there twice")
    return secrets


def _secret(table: Table, key: str | tuple[str, int], value: Any) -> bytes:
    try:
        if isinstance(value, str) and len(value) == _SECRET_DIGITS:
            return bytes.fromhex(value)
    except ValueError:
        pass
    raise _no_secret(table, key)


def _no_secret(table: Table, key: str | tuple[str, int]) -> ConfigError:
    return table.error(
        key, f"a string of {_SECRET_DIGITS} hexadecimal digits is needed: openssl rand -hex 16"
    )
