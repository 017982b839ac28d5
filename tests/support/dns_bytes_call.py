"""Shared by the DNS tests: zones given as text, and the bytes call that answers from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dns.message
import dns.name
from dns_zones import arenas

from xdpkit._core._answer import answer
from xdpkit._core._snapshot import Snapshot
from xdpkit._core._thread_state import ThreadState
from xdpkit._core._zones import ZoneDirectory

HEAD = "$TTL 300\n@ SOA ns1 hostmaster 2026112201 7200 3600 1209600 60\n@ NS ns1\n"
"""The beginning of each test zone, unless the test is about that."""

SIZES = (
    HEAD
    + "ns1 A 192.0.2.1\n*.wild A 192.0.2.2\n"
    + "".join(f'size{n} TXT "{"x" * 200}" "{"x" * (n - 200)}"\n' for n in (250, 300, 450))
    + "".join(f'big TXT "{i:03d}{"y" * 197}"\n' for i in range(5))
)
"""A zone with answers of these sizes, and one of 1,000 bytes."""


class BytesCall:
    """A server that is queried without a network."""

    def __init__(
        self, directory: Path, zones: Mapping[str, str | bytes], max_udp: int = 1232, **dns: Any
    ) -> None:
        directory.mkdir(exist_ok=True)
        for name, text in zones.items():
            data = text if isinstance(text, bytes) else text.encode()
            (directory / f"{name}.zone").write_bytes(data)
        self.arenas = arenas(directory)
        self._zones = ZoneDirectory(self.arenas.items())
        self.state = ThreadState()
        self.set(dns_max_udp=max_udp, dns=dns)

    def set(self, **settings: Any) -> None:
        """Sets a new snapshot with the same zones."""
        self.snapshot = Snapshot({"dns": 53}, zones=self._zones, **settings)

    def send(
        self,
        request: bytes,
        source: str = "192.0.2.1",
        now_s: int = 0,
        mono_ns: int = 0,
        tcp: bool = False,
        room: int = 0,
    ) -> tuple[str, bytes | None]:
        """The verdict and the reply to any bytes; ``now_s`` is seconds of UTC since 1970."""
        return answer(
            self.snapshot,
            "dns",
            request,
            (source, 40000),
            rx_ns=now_s * 1_000_000_000,
            mono_ns=mono_ns,
            state=self.state,
            tcp=tcp,
            room=room,
        )

    def ask(self, name: str | dns.name.Name, rdtype: str, **edns: int) -> dns.message.Message:
        """The parsed reply to a valid question, with attributes `verdict` and `size`.

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
    """A section's records as text, one line each, in order."""
    return [line for rrset in section for line in rrset.to_text().splitlines()]
