"""What was asked and answered (``cext/dns/counts.h``), as facts for ``status``: [dns] statistics.

The counts are those of Knot DNS's mod-stats, by the same names where it has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from xdpkit._core._thread_state import DNS_LARGEST, DNS_TYPES
from xdpkit._core._zones import zone_slots
from xdpkit.services.dns.zonefile.zone import name_text

# Under which all types and zones without a count of their own are.
OTHER = "other"

_SUMS = ("edns", "do", "query_bytes", "reply_bytes")
_SIZE_STEP = 16
# A message over TCP, RFC 1035 section 4.2.2.
_LARGEST = 65535


Threads = Sequence[tuple[str, Mapping[str, Any]]]
"""The protocol of each thread, "udp-xdp", "udp" or "tcp", and its counts."""


def traffic_facts(threads: Threads) -> dict[str, Any]:
    """The counts of all threads together.

    ``protocols`` has the queries by protocol and IP version: "udp4-xdp", "udp6", "tcp4".
    """
    facts: dict[str, Any] = {name: sum(each[name] for _, each in threads) for name in _SUMS}
    protocols: Counter[str] = Counter()
    for protocol, each in threads:
        for version in ("4", "6"):
            name = protocol[:3] + version + protocol[3:]
            protocols[name] += each[f"ipv{version}"]
    types, zones = _sums(threads, "type"), _sums(threads, "zone")
    return facts | {
        "protocols": dict(protocols),
        "types": {_type(kind): count for kind, count in sorted(types.items())},
        "query_sizes": _sizes(threads, "query_size"),
        "reply_sizes": _sizes(threads, "reply_size"),
        "zones": _zones(zones),
    }


def _sums(threads: Threads, key: str) -> Counter[int]:
    total: Counter[int] = Counter()
    for _, each in threads:
        total.update(each[key])
    return total


def _type(kind: int) -> str:
    if kind == DNS_TYPES - 1:
        return OTHER
    # Here: a start has no use for it.
    import dns.rdatatype

    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind))


def _sizes(threads: Threads, key: str) -> dict[str, int]:
    """By the first and the last size that a count is for, in bytes, as mod-stats writes them."""
    return {
        f"{first}-{_LARGEST if first == DNS_LARGEST[key] else first + _SIZE_STEP - 1}": count
        for first, count in sorted(_sums(threads, key).items())
    }


def _zones(counts: Counter[int]) -> dict[str, int]:
    names = {slot: name_text(name) for name, slot in zone_slots().items()}
    return {names.get(slot, OTHER): count for slot, count in sorted(counts.items())}
