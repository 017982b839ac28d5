"""What names that explain say (``cext/dns/explain.h``), as far as it depends on no client."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii
from typing import Any

from xdpkit import __version__
from xdpkit._core._limits import DNS_STATUS_MAX, DNS_TEXT_MAX
from xdpkit.config import DnsConfig

STARTED_NS = time.monotonic_ns()
"""When this process began, CLOCK_MONOTONIC."""

# Of _health: so that it fits a message, with the longest question and all options.
_HEALTH_MAX = 60_000


def explained(dns: DnsConfig) -> dict[str, Any]:
    """The settings that ``_status`` and ``_country`` are answered with."""
    return {
        "public_debug": dns.geo is not None and dns.geo.public_debug,
        "started_ns": STARTED_NS,
        "status": _status(dns),
        # Everybody may ask for it: what is not configured is not told.
        "server_id": dns.id,
    }


def _status(dns: DnsConfig) -> bytes:
    """``_status`` up to the number of seconds that the server is up, as a string."""
    host = dns.hostname.decode(errors="replace") or socket.gethostname()
    told = {"v": f"xdpkit {__version__}", "id": dns.id.decode(errors="replace") or host, "h": host}
    while len(text := json.dumps(told, separators=(",", ":"))) > DNS_STATUS_MAX - 8:
        longest = max(told, key=lambda key: len(told[key]))
        told[longest] = told[longest][: len(told[longest]) // 2]
    return (text[:-1] + ',"up":"').encode()


def health_text(names: Sequence[str], states: bytes) -> bytes:
    """``_health`` of a zone, RDATA of TXT: the state of each status, as in its file.

    Of more than fit a message, those that are not healthy come first, and ``unlisted`` says how
    many are left out.
    """
    told = dict(zip(names, states, strict=True))
    text = _json(told)
    if len(text) > _HEALTH_MAX:
        text = _json(_shortened(told))
    return b"".join(
        bytes([len(part)]) + part
        for part in (text[at : at + DNS_TEXT_MAX] for at in range(0, len(text), DNS_TEXT_MAX))
    )


def _shortened(told: dict[str, int]) -> dict[str, int]:
    kept: dict[str, int] = {}
    left = _HEALTH_MAX - len(_json({"unlisted": len(told)}))
    for name in sorted(told, key=told.__getitem__):
        # A colon, a digit and a comma.
        left -= len(encode_basestring_ascii(name)) + 3
        if left < 0:
            break
        kept[name] = told[name]
    return kept | {"unlisted": len(told) - len(kept)}


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":")).encode()
