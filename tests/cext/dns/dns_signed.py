"""The zones of dnsdiff, written and compiled once per test module, and the bytes call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dns_zones import zone_directory
from dnsdiff import signing
from dnsdiff.zone_sets import USUAL, ZoneSet

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot


class SignedZones:
    """`zones` is the directory, `keys` maps each signed zone to its KSK file."""

    def __init__(self, directory: Path, max_udp: int = 4096, zone_set: ZoneSet = USUAL) -> None:
        self.zones = directory / "zones"
        self.keys = signing.write(self.zones, zone_set)
        self.snapshot = Snapshot({"dns": 53}, zones=zone_directory(self.zones), dns_max_udp=max_udp)

    def ask(self, requests: Sequence[bytes], tcp: bool = False) -> list[bytes]:
        """The reply to each request; an unanswered request is an error."""
        found = []
        for request in requests:
            verdict, reply = answer(self.snapshot, "dns", request, tcp=tcp)
            assert reply is not None, verdict
            found.append(reply)
        return found
