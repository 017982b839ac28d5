"""The zones of dnsdiff, written and compiled once per test module, and the bytes call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dnsdiff import signing
from dnsdiff.zone_sets import USUAL, ZoneSet

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot, ZoneMap
from xdpkit.services.dns.compiler.compile import compile_zones, read_zones, zone_files


class SignedZones:
    """`zones` is the directory, `keys` maps each signed zone to its KSK file."""

    def __init__(self, directory: Path, max_udp: int = 4096, zone_set: ZoneSet = USUAL) -> None:
        self.zones = directory / "zones"
        self.keys = signing.write(self.zones, zone_set)
        fd = os.memfd_create("test-zones", os.MFD_CLOEXEC)
        try:
            size = compile_zones(read_zones(zone_files(self.zones)), fd)
            self.snapshot = Snapshot({"dns": 53}, zones=ZoneMap(fd, size), dns_max_udp=max_udp)
        finally:
            os.close(fd)

    def ask(self, requests: Sequence[bytes], tcp: bool = False) -> list[bytes]:
        """The reply to each request; an unanswered request is an error."""
        found = []
        for request in requests:
            verdict, reply = answer(self.snapshot, "dns", request, tcp=tcp)
            assert reply is not None, verdict
            found.append(reply)
        return found
