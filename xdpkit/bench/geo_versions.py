"""An NTP pool's zone whose version shows in each record: by its TTL, and by its address.

Two servers have a name of their own, and one of them is unhealthy; a tenth of the rest is
monitored, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from xdpkit.bench.pool_zone import PoolSize, pool_zone

# The name of the two servers, and their keys in the file of statuses.
PAIR, KEYS = "pair", ("one", "two")
FILE = "pool"
# Every so manieth server is monitored.
MONITORED = 10

# Where addresses of the pool's zone begin, where those of its versions do, and how many each has.
_FIRST, _BASE, _EACH = int(IPv4Address("198.18.0.0")), int(IPv4Address("10.0.0.0")), 8192
# Versions that fit into 10.0.0.0/8.
VERSIONS_MAX = (1 << 24) // _EACH - 1

_ADDRESS = re.compile(r"198\.1[89]\.\d+\.\d+")


class PoolVersions:
    """The zone of a pool of so many servers, in at most ``VERSIONS_MAX`` versions from 1 on."""

    def __init__(self, servers: int) -> None:
        self.servers = servers
        self._zone = pool_zone(PoolSize(servers))
        data: dict[str, dict[str, Any]] = self._zone["data"]
        for label in data.values():
            if "a" in label:
                label["a"] = [_monitored(*record) for record in label["a"]]
        data[PAIR] = {
            "a": [
                {"ip": str(IPv4Address(_FIRST + servers + number)), "health": f"{FILE}/{key}"}
                for number, key in enumerate(KEYS)
            ]
        }

    def zone_text(self, version: int) -> str:
        """The zone's file."""
        self._zone |= {"serial": version, "ttl": version}
        text = json.dumps(self._zone, separators=(",", ":"))

        def moved(found: re.Match[str]) -> str:
            number = int(IPv4Address(found[0])) - _FIRST
            return str(IPv4Address(_BASE + version * _EACH + number))

        return _ADDRESS.sub(moved, text)

    def status_text(self, healthy: int) -> str:
        """The file of statuses: one of the two is healthy, and so is every second of the rest."""
        states = {
            f"s{number}": 2 - (number // MONITORED + healthy) % 2
            for number in range(0, self.servers, MONITORED)
        }
        pair = {key: 2 if number == healthy else 1 for number, key in enumerate(KEYS)}
        return json.dumps(states | pair)

    def numbers(self, addresses: Iterable[str], version: int) -> set[int] | None:
        """Which servers these are, if all are of the version; the two are the last ones."""
        first = _BASE + version * _EACH
        found = {int(IPv4Address(address)) - first for address in addresses}
        inside = range(self.servers + len(KEYS))
        return found if all(number in inside for number in found) else None


def _monitored(address: str, weight: int) -> Any:
    number = int(IPv4Address(address)) - _FIRST
    if number % MONITORED:
        return [address, weight]
    return {"ip": address, "weight": weight, "health": f"{FILE}/s{number}"}
