"""Zones as text on one side, the bytes door on the other: what the DNS tests share."""

from __future__ import annotations

import os
from pathlib import Path

import dns.message
import dns.name

from xdpkit.cext._answer import answer
from xdpkit.cext._snapshot import Snapshot, ZoneMap
from xdpkit.dns.compile import compile_zones, read_zones, zone_files

HEAD = "$TTL 300\n@ SOA ns1 hostmaster 2026112201 7200 3600 1209600 60\n@ NS ns1\n"
"""How each test zone begins, unless the test is about that."""


class Door:
    """A server that is asked without a network."""

    def __init__(self, directory: Path, zones: dict[str, str], max_udp: int = 1232) -> None:
        directory.mkdir(exist_ok=True)
        for name, text in zones.items():
            (directory / f"{name}.zone").write_text(text)
        fd = os.memfd_create("test-zones", os.MFD_CLOEXEC)
        try:
            self.size = compile_zones(read_zones(zone_files(directory)), fd)
            self.arena = os.pread(fd, self.size, 0)
            self.snapshot = Snapshot({"dns": 53}, zones=ZoneMap(fd, self.size), dns_max_udp=max_udp)
        finally:
            os.close(fd)

    def send(self, request: bytes) -> tuple[str, bytes | None]:
        """The verdict and the reply to any bytes."""
        verdict, reply = answer(self.snapshot, "dns", request)
        return verdict, reply

    def ask(self, name: str | dns.name.Name, rdtype: str, **edns: int) -> dns.message.Message:
        """The parsed reply to a sound question; `verdict` and `size` are set on it.

        With EDNS, unless `use_edns` is -1.
        """
        request = dns.message.make_query(name, rdtype, **{"use_edns": 0, "payload": 1232, **edns})
        verdict, reply = self.send(request.to_wire())
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert message.id == request.id
        message.verdict, message.size = verdict, len(reply)  # type: ignore[attr-defined]
        return message


def lines(section: list) -> list[str]:
    """A section's records as text, one each, in order."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]
