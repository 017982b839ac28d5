"""The blocks of a pcapng file, read as its draft says (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTION, INTERFACE, STATISTICS, PACKET = 0x0A0D0D0A, 1, 5, 6
INBOUND, OUTBOUND = 1, 2


@dataclass(frozen=True)
class Packet:
    """An Enhanced Packet Block; ``ns`` since 1970, UTC."""

    interface: str
    ns: int
    inbound: bool
    comment: str
    data: bytes


def blocks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each block; a file that ends within one fails."""
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("=II", data, at)
        assert length % 4 == 0 and length >= 12
        assert struct.unpack_from("=I", data, at + length - 4) == (length,)
        yield kind, data[at + 8 : at + length - 4]
        at += length
    assert at == len(data)


def options(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at < len(data):
        code, length = struct.unpack_from("=HH", data, at)
        if code == 0:
            break
        found[code] = data[at + 4 : at + 4 + length]
        at += 4 + (length + 3) // 4 * 4
    return found


def packets(path: Path) -> list[Packet]:
    """All packets of a file."""
    names: list[str] = []
    found = []
    for kind, body in blocks(path.read_bytes()):
        if kind == INTERFACE:
            about = options(body[8:])
            assert about[9] == b"\x09", "nanoseconds"
            names.append(about[2].decode())
        elif kind == PACKET:
            interface, high, low, length, original = struct.unpack_from("=5I", body)
            assert length == original
            about = options(body[20 + (length + 3) // 4 * 4 :])
            [flags] = struct.unpack("=I", about[2])
            assert flags in (INBOUND, OUTBOUND)
            found.append(
                Packet(
                    names[interface],
                    high << 32 | low,
                    flags == INBOUND,
                    about[1].decode(),
                    body[20 : 20 + length],
                )
            )
    return found
